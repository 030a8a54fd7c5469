// Islands of servers with different NICs, InfiniBand, RoCE or Ethernet, each island a leaf-spine of its own. Islands
// have only Ethernet in common: one more NIC a server, which all its GPUs share, on one big switch. As in Holmes, arXiv
// 2312.03549.
#include <fmt/core.h>

#include <algorithm>

#include "topologies/builder.h"
#include "topologies/leaf_spine.h"
#include "topologies/topology.h"

namespace moesim {
namespace {

enum class NicKind : uint8_t { infiniband, roce, ethernet };
constexpr auto enum_names(NicKind) {
  return std::to_array<std::pair<NicKind, const char*>>(
      {{NicKind::infiniband, "infiniband"}, {NicKind::roce, "roce"}, {NicKind::ethernet, "ethernet"}});
}

struct Island {
  NicKind kind = NicKind::infiniband;
  std::optional<int32_t> nodes;
  std::optional<Rate> rate;
  std::optional<Duration> latency;
};

template <class Visitor>
void fields(Visitor& v, Island& s) {
  v.required("kind", s.kind, "its NICs; they give the rate and latency that are not said");
  v.optional("nodes", s.nodes, between(1, 100'000),
             "servers, numbered on from the island before. Without it, an equal part of those that no island names");
  v.optional("rate", s.rate, above(Rate{0}), "one NIC, each direction. The node's own; of Ethernet NICs, ethernet");
  v.optional("latency", s.latency, between(Duration{}, 1_s),
             "from a NIC to its leaf, or back. The node's own; of Ethernet NICs, ethernet_latency");
}

struct NicIslandsOptions {
  // Holmes joins InfiniBand and RoCE servers, both of 200 Gb/s NICs (recalled); here they differ.
  std::vector<Island> islands = {{NicKind::infiniband, {}, {}, {}}, {NicKind::roce, {}, 25_GBps, {}}};
  LeafSpineOptions fabric;
  // 25 Gb/s Ethernet, as models/nics/25gbe.json; TCP takes 20-50 us from host to host (recalled), half of it a NIC.
  Rate ethernet = Rate{3.125e9};
  Duration ethernet_latency = 15_us;
};

template <class Visitor>
void fields(Visitor& v, NicIslandsOptions& s) {
  v.optional("islands", s.islands, "each a leaf-spine of servers with equal NICs");
  fields(v, s.fabric);
  v.optional("ethernet", s.ethernet, above(Rate{0}),
             "the NIC of each server to other islands, each direction; it hangs on the first socket");
  v.optional("ethernet_latency", s.ethernet_latency, between(Duration{}, 1_s),
             "from such a NIC to the switch, or back");
}

[[maybe_unused]] void check_fields(const NicIslandsOptions& s,
                                   const std::function<void(std::string key, std::string message)>& fault) {
  if (s.islands.empty() || s.islands.size() > 1000)
    fault("islands", fmt::format("{} islands; there may be 1 to 1000", s.islands.size()));
  check_fields(s.fabric, fault);
}

// Servers of each island; those that say nothing share the rest, the first of them one more where it is uneven.
std::vector<int32_t> nodes_of_islands(const TopologyInput& in, const std::vector<Island>& islands,
                                      std::vector<Fault>& faults) {
  int64_t rest = in.nodes;
  int64_t sharing = 0;
  for (const Island& island : islands) {
    rest -= island.nodes.value_or(0);
    sharing += !island.nodes;
  }
  if (rest < 0 || (rest > 0 && sharing == 0))
    faults.push_back({0, "/islands", fmt::format("they name {} servers, and there are {}", in.nodes - rest, in.nodes)});
  rest = std::max(rest, int64_t{0});
  std::vector<int32_t> nodes;
  int64_t shared = 0;
  for (const Island& island : islands) {
    nodes.push_back(island.nodes.value_or(0));
    if (!island.nodes) nodes.back() = int32_t(rest / sharing + (shared++ < rest % sharing));
  }
  return nodes;
}

Link port(const TopologyInput& in, const NicIslandsOptions& options, const Island& island) {
  const bool ethernet = island.kind == NicKind::ethernet;
  return {island.rate.value_or(ethernet ? options.ethernet : in.node.nic),
          island.latency.value_or(ethernet ? options.ethernet_latency : in.node.nic_latency)};
}

void add_ethernet(Topology& topology, const TopologyInput& in, const NicIslandsOptions& options, int32_t node,
                  VertexId ethernet) {
  const VertexId nic =
      add_vertex(topology, {VertexKind::nic, fmt::format("node{}/ethernet", node), node, kNoVertex, kNoVertex});
  add_link(topology, nic, *find_vertex(topology, fmt::format("node{}/cpu0", node)),
           {in.node.pcie, in.node.pcie_latency}, LinkKind::pcie);
  add_link(topology, nic, ethernet, {options.ethernet, options.ethernet_latency}, LinkKind::nic);
  for (size_t gpu = topology.gpus.size() - size_t(in.node.gpus); gpu < topology.gpus.size(); ++gpu)
    topology.graph[index(topology.gpus[gpu])].far_nic = nic;
}

Topology build_nic_islands(const TopologyInput& in, const NicIslandsOptions& options, Rng&) {
  std::vector<Fault> faults;
  const std::vector<int32_t> nodes = nodes_of_islands(in, options.islands, faults);
  std::vector<FabricSize> sizes;
  FabricSize all;
  FabricSize widest;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Rate node_rate{double(in.node.nics) * port(in, options, options.islands[i]).capacity.bytes_per_s};
    sizes.push_back(leaf_spine_size(nodes[i], node_rate, options.fabric));
    if (nodes[i] == 0) sizes.back() = {};
    all = {all.leaves + fabric_vertices(sizes.back()), all.spines + fabric_links(sizes.back())};
    if (sizes.back().leaves > widest.leaves) widest = sizes.back();
  }
  const double more = double(in.nodes);
  for (Fault& fault : size_faults(in, all.leaves + 1 + more, all.spines + nic_ports(in) + 4 * more))
    faults.push_back(std::move(fault));
  fabric_faults(widest, options.fabric.spine, faults);
  throw_faults("nic-islands", std::move(faults));

  Topology topology;
  std::vector<LeavesAndSpines> fabrics;
  for (size_t i = 0; i < nodes.size(); ++i)
    fabrics.push_back(add_leaves_and_spines(topology, sizes[i], options.fabric.spine, fmt::format("island{}/", i)));
  const VertexId ethernet = add_vertex(topology, {VertexKind::switch_, "ethernet"});
  int32_t node = 0;
  for (size_t i = 0; i < nodes.size(); ++i)
    for (int32_t of_island = 0; of_island < nodes[i]; ++of_island, ++node) {
      const std::vector<VertexId> nics = add_node(topology, in.node, node);
      join_leaf(topology, nics, of_island, fabrics[i], options.fabric, port(in, options, options.islands[i]));
      add_ethernet(topology, in, options, node, ethernet);
    }
  return topology;
}

[[maybe_unused]] const bool registered = Registry<TopologyBuilder>::instance().add(
    "nic-islands", "islands of InfiniBand, RoCE and Ethernet servers with only slow Ethernet in common",
    build_nic_islands);

}  // namespace
}  // namespace moesim
