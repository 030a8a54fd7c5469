// A single server, without a fabric.
#include <fmt/core.h>

#include "topologies/builder.h"
#include "topologies/topology.h"

namespace moesim {
namespace {

Topology build_single_node(const TopologyInput& in, const NoOptions&, Rng&) {
  std::vector<Fault> faults = size_faults(in, 0, 0);
  if (in.nodes > 1)
    faults.push_back(
        {0, "", fmt::format("joins no servers, but there are {}; take leaf-spine, or one server", in.nodes)});
  throw_faults("single-node", std::move(faults));
  Topology topology;
  add_node(topology, in.node, 0);
  return topology;
}

[[maybe_unused]] const bool registered =
    Registry<TopologyBuilder>::instance().add("single-node", "one server, no fabric", build_single_node);

}  // namespace
}  // namespace moesim
