#include "sim/run/link_changes.h"

#include <fmt/core.h>

#include <algorithm>
#include <functional>

#include "sim/config/suggest.h"
#include "sim/config/units_text.h"

namespace moesim {
namespace {

using AddFault = std::function<void(const char* key, std::string message)>;

VertexId vertex_named(const Topology& topology, const std::string& name, const char* key, const AddFault& fault) {
  const std::optional<VertexId> found = find_vertex(topology, name);
  if (found) return *found;
  std::vector<std::string> names;
  for (const auto& [known, vertex] : topology.by_name) names.push_back(known);
  fault(key, fmt::format("unknown vertex \"{}\"{}; `moesim topology` shows them", name, suggestion(name, names)));
  return kNoVertex;
}

std::vector<LinkId> links_between(const Topology& topology, VertexId from, VertexId to) {
  std::vector<LinkId> links;
  for (const auto edge : boost::make_iterator_range(boost::out_edges(index(from), topology.graph)))
    if (boost::target(edge, topology.graph) == index(to)) links.push_back(topology.graph[edge].link);
  return links;
}

Rate rate_from_then_on(const LinkChangeConfig& change, Rate own) {
  if (change.rate) return *change.rate;
  if (change.background) return {own.bytes_per_s - change.background->bytes_per_s};
  return own;
}

void add_changes(const LinkChangeConfig& change, const Topology& topology, const AddFault& fault,
                 std::vector<LinkChange>& changes) {
  if (change.rate && change.background)
    fault("background", "give the rate or the background, not both: one follows from the other");
  const VertexId from = vertex_named(topology, change.from, "from", fault);
  const VertexId to = vertex_named(topology, change.to, "to", fault);
  if (from == kNoVertex || to == kNoVertex) return;
  std::vector<LinkId> links = links_between(topology, from, to);
  if (!change.one_way)
    for (const LinkId back : links_between(topology, to, from)) links.push_back(back);
  if (links.empty()) fault("to", fmt::format("there is no link between \"{}\" and \"{}\"", change.from, change.to));
  for (const LinkId link : links) {
    const Rate own = topology.links[index(link)].capacity;
    for (const auto& [key, rate] : {std::pair{"rate", change.rate}, std::pair{"background", change.background}})
      if (rate && *rate > own)
        return fault(key, fmt::format("{} is more than the {} of {}", quantity_text(*rate), quantity_text(own),
                                      link_name(topology, link)));
    changes.push_back({Time{change.at.ps}, link, rate_from_then_on(change, own)});
  }
}

}  // namespace

std::vector<LinkChange> link_changes_of(const LoadedScenario& loaded, const Topology& topology) {
  std::vector<Fault> faults;
  std::vector<LinkChange> changes;
  const std::vector<LinkChangeConfig>& configs = loaded.scenario.link_changes;
  for (size_t i = 0; i < configs.size(); ++i)
    add_changes(
        configs[i], topology,
        [&](const char* key, std::string message) {
          faults.push_back(fault_at(loaded.root, fmt::format("/link_changes/{}/{}", i, key), std::move(message)));
        },
        changes);
  throw_if_any(loaded.source, std::move(faults));
  std::stable_sort(changes.begin(), changes.end(),
                   [](const LinkChange& a, const LinkChange& b) { return a.at < b.at; });
  return changes;
}

}  // namespace moesim
