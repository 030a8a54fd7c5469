#include "topologies/builder.h"

#include <fmt/core.h>

namespace moesim {
namespace {

std::string count_text(double count) {
  return count < 1e15 ? fmt::format("{:.0f}", count) : fmt::format("{:.3g}", count);
}

}  // namespace

std::vector<Fault> size_faults(const TopologyInput& in, double fabric_vertices, double fabric_links) {
  std::vector<Fault> faults;
  const auto fault = [&](std::string message) { faults.push_back({0, "", std::move(message)}); };
  if (in.nodes < 1) fault(fmt::format("{} servers; there must be at least one", in.nodes));
  check_fields(in.node, [&](const std::string&, std::string message) { fault(std::move(message)); });
  if (in.nodes > 1 && in.node.nics == 0)
    fault(fmt::format("{} servers without a NIC cannot be joined; set nics", in.nodes));

  // In doubles, which hold the product of any two settings.
  const double vertices = double(in.nodes) * double(vertices_of_node(in.node)) + fabric_vertices;
  const double links = double(in.nodes) * double(links_of_node(in.node)) + fabric_links;
  if (vertices > double(kVerticesMax))
    fault(fmt::format(
        "{} GPUs, switches and NICs are more than the {} that can be simulated; take fewer servers or spines",
        count_text(vertices), kVerticesMax));
  else if (links > double(kLinksMax))
    fault(fmt::format("{} links are more than the {} that can be simulated; take fewer servers or spines",
                      count_text(links), kLinksMax));
  return faults;
}

void throw_faults(const std::string& builder, std::vector<Fault> faults) {
  if (!faults.empty()) throw ConfigError("topology " + builder, std::move(faults));
}

}  // namespace moesim
