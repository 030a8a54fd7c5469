#include "topologies/rails.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "topologies/builder.h"
#include "topologies/topology.h"

namespace moesim {

RailSize rail_size(const TopologyInput& in, const RailFabric& fabric) {
  const double rails = double(in.node.nics);
  const double nodes_of_leaf = double(std::min(in.nodes, fabric.nodes_per_pod));  // of the fullest
  const Rate leaf_down{nodes_of_leaf * in.node.nic.bytes_per_s};
  const double pods = std::ceil(double(in.nodes) / double(fabric.nodes_per_pod));
  if (fabric.sets == SpineSets::rail) return {fabric_size(pods, leaf_down, fabric.spine), rails, pods};
  return {fabric_size(pods * rails, leaf_down, fabric.spine), 1, pods};
}

std::vector<VertexId> add_rails(Topology& topology, const TopologyInput& in, const RailFabric& fabric,
                                const RailSize& size) {
  if (fabric.sets == SpineSets::shared) return add_leaves_and_spines(topology, size.set, fabric.spine, "").leaves;
  const auto rails = size_t(in.node.nics);
  std::vector<VertexId> leaves(size_t(size.pods) * rails);
  for (size_t rail = 0; rail < rails; ++rail) {
    const std::vector<VertexId> of_rail =
        add_leaves_and_spines(topology, size.set, fabric.spine, fmt::format("rail{}/", rail)).leaves;
    for (size_t pod = 0; pod < of_rail.size(); ++pod) leaves[pod * rails + rail] = of_rail[pod];
  }
  return leaves;
}

void join_rails(Topology& topology, const NodeSpec& spec, const std::vector<VertexId>& nics, int32_t node,
                const RailFabric& fabric, const std::vector<VertexId>& leaves) {
  const size_t first_leaf = index(node / fabric.nodes_per_pod) * nics.size();
  for (size_t rail = 0; rail < nics.size(); ++rail)
    add_link(topology, nics[rail], leaves[first_leaf + rail], {spec.nic, spec.nic_latency}, LinkKind::nic);
}

Topology build_rails(const std::string& builder, const TopologyInput& in, const RailFabric& fabric) {
  const RailSize size = rail_size(in, fabric);
  std::vector<Fault> faults = size_faults(in, fabric_vertices(size), fabric_links(size) + nic_ports(in));
  fabric_faults(size.set, fabric.spine, faults);
  throw_faults(builder, std::move(faults));

  Topology topology;
  const std::vector<VertexId> leaves = add_rails(topology, in, fabric, size);
  for (int32_t node = 0; node < in.nodes; ++node)
    join_rails(topology, in.node, add_node(topology, in.node, node), node, fabric, leaves);
  return topology;
}

}  // namespace moesim
