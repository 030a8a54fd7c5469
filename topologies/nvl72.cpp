// Racks of compute trays whose GPUs are one NVLink domain, over NVSwitches in trays of their own; the trays' NICs join
// the racks. A server of the cluster is a compute tray. In NVIDIA's GB200 NVL72 18 trays of 4 GPUs make a rack, with 9
// NVLink switch trays (NVIDIA Multi-Node NVLink tuning guide).
#include <fmt/core.h>

#include <cmath>

#include "topologies/builder.h"
#include "topologies/leaf_spine.h"
#include "topologies/rails.h"
#include "topologies/topology.h"

namespace moesim {
namespace {

enum class RackFabric : uint8_t { rails, leaf_spine };
constexpr auto enum_names(RackFabric) {
  return std::to_array<std::pair<RackFabric, const char*>>(
      {{RackFabric::rails, "rails"}, {RackFabric::leaf_spine, "leaf-spine"}});
}

struct Nvl72Options {
  int32_t gpus_per_rack = 72;
  // A GPU's 18 NVLinks go to 18 switch chips, but addresses are interleaved over them, so that they act as one.
  int32_t nvswitches = 1;
  RackFabric racks_by = RackFabric::rails;
  std::optional<int32_t> trays_per_leaf;
  SpineOptions spine;
};

template <class Visitor>
void fields(Visitor& v, Nvl72Options& s) {
  // NVLink 5 joins 576 GPUs at the most (NVIDIA).
  v.optional("gpus_per_rack", s.gpus_per_rack, between(1, 576),
             "GPUs of one NVLink domain; a rack has as many whole servers (trays) as this holds");
  v.optional("nvswitches", s.nvswitches, between(1, 64),
             "NVSwitches of a rack, to each of which a GPU has an equal part of its NVLink; a flow takes one");
  v.optional("racks_by", s.racks_by,
             "how NICs join the racks. rails: NIC r of each tray goes to leaf r of its pod, as rail-optimised does. "
             "leaf-spine: all NICs of a tray go to its leaf");
  v.optional("trays_per_leaf", s.trays_per_leaf, between(1, 10'000),
             "trays that share a leaf, or with rails a set of leaves. With rails a rack's, else 8");
  spine_fields(v, s.spine);
}

[[maybe_unused]] void check_fields(const Nvl72Options& s,
                                   const std::function<void(std::string key, std::string message)>& fault) {
  check_spine_fields(s.spine, fault);
}

int32_t trays_per_rack(const TopologyInput& in, const Nvl72Options& options) {
  return std::max(options.gpus_per_rack / in.node.gpus, 1);
}

// By rack, its NVSwitches.
std::vector<std::vector<VertexId>> add_nvswitches(Topology& topology, int32_t racks, const Nvl72Options& options) {
  std::vector<std::vector<VertexId>> of_rack{size_t(racks)};
  for (int32_t rack = 0; rack < racks; ++rack)
    for (int32_t i = 0; i < options.nvswitches; ++i)
      of_rack[size_t(rack)].push_back(
          add_vertex(topology, {VertexKind::nvswitch, fmt::format("rack{}/nvswitch{}", rack, i)}));
  return of_rack;
}

// A tray has no NVSwitch of its own: its GPUs are joined to those of the rack.
std::vector<VertexId> add_tray(Topology& topology, const TopologyInput& in, int32_t tray,
                               const std::vector<VertexId>& nvswitches) {
  NodeSpec spec = in.node;
  spec.nvlink = Rate{0};
  std::vector<VertexId> nics = add_node(topology, spec, tray);
  const Link nvlink{{in.node.nvlink.bytes_per_s / double(nvswitches.size())}, in.node.nvlink_latency};
  for (size_t gpu = topology.gpus.size() - size_t(spec.gpus); gpu < topology.gpus.size(); ++gpu)
    for (const VertexId nvswitch : nvswitches)
      add_link(topology, topology.gpus[gpu], nvswitch, nvlink, LinkKind::nvlink);
  return nics;
}

std::vector<Fault> rack_faults(const TopologyInput& in, const Nvl72Options& options, double vertices, double links) {
  TopologyInput trays = in;
  trays.node.nvlink = Rate{0};
  std::vector<Fault> faults = size_faults(trays, vertices, links + nic_ports(in));
  if (in.node.nvlink == Rate{0})
    faults.push_back({0, "", "the GPUs have no NVLink to make a rack of; take leaf-spine, or give nvlink"});
  if (in.node.gpus > options.gpus_per_rack)
    faults.push_back({0, "/gpus_per_rack",
                      fmt::format("{}, but one server has {} GPUs already", options.gpus_per_rack, in.node.gpus)});
  return faults;
}

Topology build_nvl72(const TopologyInput& in, const Nvl72Options& options, Rng&) {
  const int32_t of_rack = trays_per_rack(in, options);
  const bool by_rails = options.racks_by == RackFabric::rails;
  const RailFabric rails{options.trays_per_leaf.value_or(of_rack), options.spine, SpineSets::shared};
  const LeafSpineOptions leaves{options.trays_per_leaf.value_or(8), options.spine};
  const RailSize size =
      by_rails ? rail_size(in, rails) : RailSize{leaf_spine_size(in.nodes, nic_rate_of_node(in.node), leaves)};

  const double racks = std::ceil(double(in.nodes) / double(of_rack));
  const double nvlinks = 2 * double(in.nodes) * double(in.node.gpus) * double(options.nvswitches);
  std::vector<Fault> faults = rack_faults(in, options, fabric_vertices(size) + racks * double(options.nvswitches),
                                          fabric_links(size) + nvlinks);
  fabric_faults(size.set, options.spine, faults);
  throw_faults("nvl72", std::move(faults));

  Topology topology;
  LeavesAndSpines fabric;
  if (by_rails)
    fabric.leaves = add_rails(topology, in, rails, size);
  else
    fabric = add_leaves_and_spines(topology, size.set, options.spine, "");
  const std::vector<std::vector<VertexId>> nvswitches = add_nvswitches(topology, int32_t(racks), options);
  for (int32_t tray = 0; tray < in.nodes; ++tray) {
    const std::vector<VertexId> nics = add_tray(topology, in, tray, nvswitches[index(tray / of_rack)]);
    if (by_rails)
      join_rails(topology, in.node, nics, tray, rails, fabric.leaves);
    else
      join_leaf(topology, nics, tray, fabric, leaves, {in.node.nic, in.node.nic_latency});
  }
  return topology;
}

[[maybe_unused]] const bool registered = Registry<TopologyBuilder>::instance().add(
    "nvl72", "racks of servers (trays) whose GPUs share one NVLink domain, joined by NICs", build_nvl72);

}  // namespace
}  // namespace moesim
