// Leaf-spine: all NICs of a server go to its leaf switch, and each leaf has one link to each spine.
#include "topologies/leaf_spine.h"

#include <algorithm>
#include <cmath>

#include "topologies/builder.h"
#include "topologies/topology.h"

namespace moesim {

FabricSize leaf_spine_size(int32_t nodes, Rate node_rate, const LeafSpineOptions& options) {
  const double nodes_of_leaf = double(std::min(nodes, options.nodes_per_leaf));  // of the fullest
  return fabric_size(std::ceil(double(nodes) / double(options.nodes_per_leaf)),
                     Rate{nodes_of_leaf * node_rate.bytes_per_s}, options.spine);
}

void join_leaf(Topology& topology, const std::vector<VertexId>& nics, int32_t node, const LeavesAndSpines& fabric,
               const LeafSpineOptions& options, const Link& port) {
  for (const VertexId nic : nics)
    add_link(topology, nic, fabric.leaves[index(node / options.nodes_per_leaf)], port, LinkKind::nic);
}

namespace {

Topology build_leaf_spine(const TopologyInput& in, const LeafSpineOptions& options, Rng&) {
  const FabricSize size = leaf_spine_size(in.nodes, nic_rate_of_node(in.node), options);
  std::vector<Fault> faults = size_faults(in, fabric_vertices(size), fabric_links(size) + nic_ports(in));
  fabric_faults(size, options.spine, faults);
  throw_faults("leaf-spine", std::move(faults));

  Topology topology;
  const LeavesAndSpines fabric = add_leaves_and_spines(topology, size, options.spine, "");
  for (int32_t node = 0; node < in.nodes; ++node)
    join_leaf(topology, add_node(topology, in.node, node), node, fabric, options, {in.node.nic, in.node.nic_latency});
  return topology;
}

[[maybe_unused]] const bool registered = Registry<TopologyBuilder>::instance().add(
    "leaf-spine", "all NICs of a server on its leaf, leaves joined by spines", build_leaf_spine);

}  // namespace
}  // namespace moesim
