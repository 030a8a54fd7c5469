// Rail-optimised: NIC r of every server of a pod goes to leaf r of that pod, so that GPUs of the same number are one
// switch apart; spines join all leaves. As in NVIDIA's DGX SuperPOD reference architecture.
#include <algorithm>
#include <cmath>

#include "topologies/builder.h"
#include "topologies/spines.h"
#include "topologies/topology.h"

namespace moesim {
namespace {

struct RailOptions {
  // A scalable unit of the DGX H100 SuperPOD: 32 servers fill half of each 64-port leaf.
  int32_t nodes_per_pod = 32;
  SpineOptions spine;
};

template <class Visitor>
void fields(Visitor& v, RailOptions& s) {
  v.optional("nodes_per_pod", s.nodes_per_pod, between(1, 10'000),
             "servers that share a set of leaf switches, one leaf for each NIC of a server");
  spine_fields(v, s.spine);
}

[[maybe_unused]] void check_fields(const RailOptions& s,
                                   const std::function<void(std::string key, std::string message)>& fault) {
  check_spine_fields(s.spine, fault);
}

Topology build_rail_optimised(const TopologyInput& in, const RailOptions& options, Rng&) {
  const double nodes_of_leaf = double(std::min(in.nodes, options.nodes_per_pod));  // of the fullest
  const Rate leaf_down{nodes_of_leaf * in.node.nic.bytes_per_s};
  const double pods = std::ceil(double(in.nodes) / double(options.nodes_per_pod));
  const FabricSize size = fabric_size(pods * double(in.node.nics), leaf_down, options.spine);
  const double links = 2 * (double(in.nodes) * double(in.node.nics) + size.leaves * size.spines);
  std::vector<Fault> faults = size_faults(in, size.leaves + size.spines, links);
  fabric_faults(size, options.spine, faults);
  throw_faults("rail-optimised", std::move(faults));

  Topology topology;
  const std::vector<VertexId> fabric = add_leaves_and_spines(topology, size, options.spine);
  for (int32_t node = 0; node < in.nodes; ++node) {
    const std::vector<VertexId> nics = add_node(topology, in.node, node);
    const size_t first_leaf = index(node / options.nodes_per_pod) * nics.size();
    for (size_t rail = 0; rail < nics.size(); ++rail)
      add_link(topology, nics[rail], fabric[first_leaf + rail], {in.node.nic, in.node.nic_latency}, LinkKind::nic);
  }
  return topology;
}

[[maybe_unused]] const bool registered = Registry<TopologyBuilder>::instance().add(
    "rail-optimised", "NIC r of each server of a pod on leaf r, leaves joined by spines", build_rail_optimised);

}  // namespace
}  // namespace moesim
