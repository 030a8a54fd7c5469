// Servers whose GPUs and NICs share PCIe switches in levels. An uplink is as wide as one GPU's link and carries all
// that is below it, so each level is oversubscribed by its fan-out. As in servers of PCIe cards; NICs join them by
// leaf-spine.
#include <fmt/core.h>

#include "topologies/builder.h"
#include "topologies/leaf_spine.h"
#include "topologies/topology.h"

namespace moesim {
namespace {

constexpr size_t kUpperLevelsMax = 8;

struct PcieTreeOptions {
  // Two switches of two GPUs share one: four GPUs a socket, as in servers of eight PCIe cards (recalled).
  std::vector<int32_t> fan_out = {2};
  std::optional<Rate> uplink;
  LeafSpineOptions fabric;
};

template <class Visitor>
void fields(Visitor& v, PcieTreeOptions& s) {
  v.optional(
      "fan_out", s.fan_out, between(1, 1024),
      "for each level of PCIe switches, from the bottom up, how many share one of the next level; the last one's "
      "hang on the sockets. On a switch of the lowest level hang gpus_per_pcie_switch GPUs");
  v.optional("uplink", s.uplink, above(Rate{0}),
             "of a PCIe switch to the next level or its socket, each direction. The node's pcie");
  fields(v, s.fabric);
}

[[maybe_unused]] void check_fields(const PcieTreeOptions& s,
                                   const std::function<void(std::string key, std::string message)>& fault) {
  if (s.fan_out.size() > kUpperLevelsMax)
    fault("fan_out", fmt::format("{} levels; at most {}", s.fan_out.size(), kUpperLevelsMax));
  check_fields(s.fabric, fault);
}

Topology build_pcie_tree(const TopologyInput& in, const PcieTreeOptions& options, Rng&) {
  const PcieTree tree{options.fan_out, options.uplink.value_or(in.node.pcie)};
  const double upper = double(in.nodes) * double(upper_pcie_switches(in.node, tree));
  const FabricSize size = leaf_spine_size(in.nodes, nic_rate_of_node(in.node), options.fabric);
  std::vector<Fault> faults =
      size_faults(in, fabric_vertices(size) + upper, fabric_links(size) + nic_ports(in) + 2 * upper);
  fabric_faults(size, options.fabric.spine, faults);
  throw_faults("pcie-tree", std::move(faults));

  Topology topology;
  const LeavesAndSpines fabric = add_leaves_and_spines(topology, size, options.fabric.spine, "");
  for (int32_t node = 0; node < in.nodes; ++node)
    join_leaf(topology, add_node(topology, in.node, node, tree), node, fabric, options.fabric,
              {in.node.nic, in.node.nic_latency});
  return topology;
}

[[maybe_unused]] const bool registered = Registry<TopologyBuilder>::instance().add(
    "pcie-tree", "servers with levels of shared PCIe switches, joined by leaf-spine", build_pcie_tree);

}  // namespace
}  // namespace moesim
