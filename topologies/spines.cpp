#include "topologies/spines.h"

#include <fmt/core.h>

#include <cmath>

#include "topologies/topology.h"

namespace moesim {

void check_spine_fields(const SpineOptions& s, const std::function<void(std::string key, std::string message)>& fault) {
  if (s.spines && s.oversubscription)
    fault("oversubscription", "give the spines or the oversubscription, not both: one follows from the other");
}

FabricSize fabric_size(double leaves, Rate leaf_down, const SpineOptions& options) {
  if (options.spines) return {leaves, double(*options.spines)};
  if (leaves <= 1) return {leaves, 0};
  const double up = leaf_down.bytes_per_s / options.oversubscription.value_or(1.0);
  // A hair less, so that a ratio that comes out whole but for rounding is not given one spine more.
  return {leaves, std::ceil(up / options.link.bytes_per_s * (1 - 1e-12))};
}

void fabric_faults(const FabricSize& size, const SpineOptions& options, std::vector<Fault>& faults) {
  check_spine_fields(options, [&](const std::string& key, std::string message) {
    faults.push_back({0, "/" + key, std::move(message)});
  });
  if (size.leaves > 1 && size.spines < 1)
    faults.push_back({0, "/spines", fmt::format("{:.0f} leaves need at least one spine to join them", size.leaves)});
}

LeavesAndSpines add_leaves_and_spines(Topology& topology, const FabricSize& size, const SpineOptions& options,
                                      const std::string& prefix) {
  LeavesAndSpines made;
  for (int64_t leaf = 0; leaf < int64_t(size.leaves); ++leaf)
    made.leaves.push_back(add_vertex(topology, {VertexKind::leaf, fmt::format("{}leaf{}", prefix, leaf)}));
  for (int64_t spine = 0; spine < int64_t(size.spines); ++spine) {
    const VertexId id = add_vertex(topology, {VertexKind::spine, fmt::format("{}spine{}", prefix, spine)});
    made.spines.push_back(id);
    for (const VertexId leaf : made.leaves)
      add_link(topology, leaf, id, {options.link, options.latency}, LinkKind::fabric);
  }
  return made;
}

}  // namespace moesim
