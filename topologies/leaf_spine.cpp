// Leaf-spine: all NICs of a server go to its leaf switch, and each leaf has one link to each spine.
#include <algorithm>
#include <cmath>

#include "topologies/builder.h"
#include "topologies/spines.h"
#include "topologies/topology.h"

namespace moesim {
namespace {

struct LeafSpineOptions {
  // Four servers of eight NICs fill half of a 64-port switch (NVIDIA QM9700, SN5600); the other half goes up.
  int32_t nodes_per_leaf = 4;
  SpineOptions spine;
};

template <class Visitor>
void fields(Visitor& v, LeafSpineOptions& s) {
  v.optional("nodes_per_leaf", s.nodes_per_leaf, between(1, 10'000), "servers that share a leaf switch");
  spine_fields(v, s.spine);
}

[[maybe_unused]] void check_fields(const LeafSpineOptions& s,
                                   const std::function<void(std::string key, std::string message)>& fault) {
  check_spine_fields(s.spine, fault);
}

Topology build_leaf_spine(const TopologyInput& in, const LeafSpineOptions& options, Rng&) {
  const double nodes_of_leaf = double(std::min(in.nodes, options.nodes_per_leaf));  // of the fullest
  const Rate leaf_down{nodes_of_leaf * double(in.node.nics) * in.node.nic.bytes_per_s};
  const double leaves = std::ceil(double(in.nodes) / double(options.nodes_per_leaf));
  const FabricSize size = fabric_size(leaves, leaf_down, options.spine);
  const double links = 2 * (double(in.nodes) * double(in.node.nics) + size.leaves * size.spines);
  std::vector<Fault> faults = size_faults(in, size.leaves + size.spines, links);
  fabric_faults(size, options.spine, faults);
  throw_faults("leaf-spine", std::move(faults));

  Topology topology;
  const std::vector<VertexId> fabric = add_leaves_and_spines(topology, size, options.spine);
  for (int32_t node = 0; node < in.nodes; ++node)
    for (const VertexId nic : add_node(topology, in.node, node))
      add_link(topology, nic, fabric[index(node / options.nodes_per_leaf)], {in.node.nic, in.node.nic_latency},
               LinkKind::nic);
  return topology;
}

[[maybe_unused]] const bool registered = Registry<TopologyBuilder>::instance().add(
    "leaf-spine", "all NICs of a server on its leaf, leaves joined by spines", build_leaf_spine);

}  // namespace
}  // namespace moesim
