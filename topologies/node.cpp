#include "topologies/node.h"

#include <fmt/core.h>

#include "sim/core/check.h"
#include "topologies/topology.h"

namespace moesim {
namespace {

VertexId add_part(Topology& topology, int32_t node, VertexKind kind, std::string_view part) {
  return add_vertex(topology, {kind, fmt::format("node{}/{}", node, part), node, kNoVertex});
}

std::vector<VertexId> add_sockets(Topology& topology, const NodeSpec& spec, int32_t node) {
  std::vector<VertexId> sockets;
  for (int32_t socket = 0; socket < spec.sockets; ++socket) {
    sockets.push_back(add_part(topology, node, VertexKind::cpu, fmt::format("cpu{}", socket)));
    for (int32_t other = 0; other < socket; ++other)
      add_link(topology, sockets[index(other)], sockets.back(), {spec.socket_link, spec.socket_latency},
               LinkKind::socket);
  }
  return sockets;
}

int32_t next_level(int32_t switches, int32_t fan_out) { return (switches + fan_out - 1) / fan_out; }

// From the top down, so that what a switch hangs on is there already. The top switches are dealt to the sockets in
// equal runs. Returns the lowest level.
std::vector<VertexId> add_pcie_switches(Topology& topology, const NodeSpec& spec, int32_t node, const PcieTree& tree) {
  std::vector<int32_t> switches{pcie_switches(spec)};  // by level, from the bottom up
  for (const int32_t fan_out : tree.fan_out) switches.push_back(next_level(switches.back(), fan_out));

  const std::vector<VertexId> sockets = add_sockets(topology, spec, node);
  std::vector<VertexId> above;
  for (size_t level = switches.size(); level-- > 0;) {
    std::vector<VertexId> here;
    for (int32_t i = 0; i < switches[level]; ++i) {
      here.push_back(add_part(topology, node, VertexKind::pcie_switch,
                              level == 0 ? fmt::format("pcie{}", i) : fmt::format("pcie-level{}-{}", level, i)));
      const VertexId up =
          above.empty() ? sockets[index(i * spec.sockets / switches[level])] : above[index(i / tree.fan_out[level])];
      add_link(topology, here.back(), up, {tree.uplink, spec.pcie_latency}, LinkKind::pcie);
    }
    above = std::move(here);
  }
  return above;
}

}  // namespace

void check_fields(const NodeSpec& spec, const std::function<void(std::string key, std::string message)>& fault) {
  if (spec.nics > spec.gpus)
    fault("nics", fmt::format("{} NICs are more than the {} GPUs, and each GPU uses one; give the NICs of a GPU as one "
                              "with their summed rate",
                              spec.nics, spec.gpus));
}

int64_t vertices_of_node(const NodeSpec& spec) {
  return int64_t{spec.gpus} + spec.nics + spec.sockets + pcie_switches(spec) + (has_nvswitch(spec) ? 1 : 0);
}

int64_t links_of_node(const NodeSpec& spec) {
  const int64_t duplex = int64_t{spec.gpus} * (has_nvswitch(spec) ? 2 : 1) + spec.nics + pcie_switches(spec) +
                         int64_t{spec.sockets} * (spec.sockets - 1) / 2;
  return 2 * duplex;
}

int64_t upper_pcie_switches(const NodeSpec& spec, const PcieTree& tree) {
  int64_t upper = 0;
  int32_t switches = pcie_switches(spec);
  for (const int32_t fan_out : tree.fan_out) upper += switches = next_level(switches, fan_out);
  return upper;
}

std::vector<VertexId> add_node(Topology& topology, const NodeSpec& spec, int32_t node) {
  return add_node(topology, spec, node, {{}, spec.pcie});
}

std::vector<VertexId> add_node(Topology& topology, const NodeSpec& spec, int32_t node, const PcieTree& tree) {
  CHECK(spec.nics <= spec.gpus);
  const std::vector<VertexId> switches = add_pcie_switches(topology, spec, node, tree);
  const Link bus{spec.pcie, spec.pcie_latency};

  std::vector<VertexId> nics;
  for (int32_t nic = 0; nic < spec.nics; ++nic) {
    nics.push_back(add_part(topology, node, VertexKind::nic, fmt::format("nic{}", nic)));
    // The first GPU g with g * nics / gpus == nic.
    const int32_t first_gpu = (nic * spec.gpus + spec.nics - 1) / spec.nics;
    add_link(topology, nics.back(), switches[index(first_gpu / spec.gpus_per_pcie_switch)], bus, LinkKind::pcie);
  }

  const VertexId nvswitch = has_nvswitch(spec) ? add_part(topology, node, VertexKind::nvswitch, "nvswitch") : kNoVertex;
  for (int32_t gpu = 0; gpu < spec.gpus; ++gpu) {
    const VertexId id = add_part(topology, node, VertexKind::gpu, fmt::format("gpu{}", gpu));
    if (spec.nics > 0) topology.graph[index(id)].nic = nics[index(gpu * spec.nics / spec.gpus)];
    add_link(topology, id, switches[index(gpu / spec.gpus_per_pcie_switch)], bus, LinkKind::pcie);
    if (has_nvswitch(spec)) add_link(topology, id, nvswitch, {spec.nvlink, spec.nvlink_latency}, LinkKind::nvlink);
  }
  return nics;
}

}  // namespace moesim
