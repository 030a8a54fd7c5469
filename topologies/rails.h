// Leaves for each rail: NIC r of every server of a pod goes to the leaf of rail r in that pod.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/config/error.h"
#include "topologies/ids.h"
#include "topologies/spines.h"

namespace moesim {

struct NodeSpec;
struct TopologyInput;

// Whether all leaves hang on the same spines, or those of each rail on spines of their own, so that rails do not meet.
enum class SpineSets : uint8_t { shared, rail };
constexpr auto enum_names(SpineSets) {
  return std::to_array<std::pair<SpineSets, const char*>>({{SpineSets::shared, "shared"}, {SpineSets::rail, "rail"}});
}

struct RailFabric {
  int32_t nodes_per_pod = 1;
  SpineOptions spine;
  SpineSets sets = SpineSets::shared;
};

struct RailSize {
  FabricSize set;   // the leaves that share spines, and these
  double sets = 1;  // how many times
  double pods = 1;
};

RailSize rail_size(const TopologyInput& in, const RailFabric& fabric);
inline double fabric_vertices(const RailSize& size) { return size.sets * fabric_vertices(size.set); }
inline double fabric_links(const RailSize& size) { return size.sets * fabric_links(size.set); }

// Adds the switches. Returns the leaves, those of a pod in order of rail one after the other.
std::vector<VertexId> add_rails(Topology& topology, const TopologyInput& in, const RailFabric& fabric,
                                const RailSize& size);

// Joins the NICs of server number `node` to their leaves.
void join_rails(Topology& topology, const NodeSpec& spec, const std::vector<VertexId>& nics, int32_t node,
                const RailFabric& fabric, const std::vector<VertexId>& leaves);

// The whole topology, or what is wrong with it.
Topology build_rails(const std::string& builder, const TopologyInput& in, const RailFabric& fabric);

}  // namespace moesim
