// What a cluster is wired of: vertices (GPUs, switches, NICs, ...) and the directed links between them. Plain data,
// made by a builder and read by routes, networks and reports.
#pragma once

#include <array>
#include <boost/graph/adjacency_list.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/net/link.h"
#include "topologies/ids.h"

namespace moesim {

inline constexpr LinkId kNoLink{-1};
inline constexpr int32_t kNoNode = -1;

// `core` stands above spines, `router` has servers and other routers beside it (dragonfly, gateways to a wide area).
// `memory` is that of a socket, or a device that holds weights, where a run looks at it.
enum class VertexKind : uint8_t { gpu, cpu, pcie_switch, nvswitch, nic, leaf, spine, core, router, switch_, memory };
constexpr auto enum_names(VertexKind) {
  using enum VertexKind;
  return std::to_array<std::pair<VertexKind, const char*>>({{gpu, "gpu"},
                                                            {cpu, "cpu"},
                                                            {pcie_switch, "pcie_switch"},
                                                            {nvswitch, "nvswitch"},
                                                            {nic, "nic"},
                                                            {leaf, "leaf"},
                                                            {spine, "spine"},
                                                            {core, "core"},
                                                            {router, "router"},
                                                            {switch_, "switch"},
                                                            {memory, "memory"}});
}

// What results group links by. `nic` is the port of a NIC to the fabric; its bus side is `pcie`. `global` joins two
// groups of a dragonfly, `wan` two clusters.
enum class LinkKind : uint8_t { nvlink, pcie, socket, nic, fabric, global, wan, memory };
constexpr auto enum_names(LinkKind) {
  using enum LinkKind;
  return std::to_array<std::pair<LinkKind, const char*>>({{nvlink, "nvlink"},
                                                          {pcie, "pcie"},
                                                          {socket, "socket"},
                                                          {nic, "nic"},
                                                          {fabric, "fabric"},
                                                          {global, "global"},
                                                          {wan, "wan"},
                                                          {memory, "memory"}});
}

struct Vertex {
  VertexKind kind = VertexKind::switch_;
  std::string name;              // unique in its topology
  int32_t node = kNoNode;        // the server it sits in; the fabric sits in none
  VertexId nic = kNoVertex;      // of a GPU: the NIC through which it reaches other servers, where that is fixed
  VertexId far_nic = kNoVertex;  // of a GPU: the NIC to servers that no `nic` of its server reaches
};

struct Edge {
  LinkId link = kNoLink;
};

// Where a directed link lies. The reverse is the other half of a duplex link.
struct LinkPlace {
  VertexId from = kNoVertex;
  VertexId to = kNoVertex;
  LinkKind kind = LinkKind::fabric;
  LinkId reverse = kNoLink;
};

// Directed, with the incoming edges kept too: routes search backwards from where they end.
using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS, Vertex, Edge>;

struct Topology {
  Graph graph;                    // VertexId is the vertex descriptor
  std::vector<Link> links;        // by LinkId, as a network takes them
  std::vector<LinkPlace> places;  // by LinkId
  std::vector<VertexId> gpus;     // by GpuId
  std::vector<VertexId> cpus;     // sockets, in order of addition
  int32_t nodes = 0;              // servers are 0 .. nodes - 1
  std::map<std::string, VertexId, std::less<>> by_name;
};

// Names must be new.
VertexId add_vertex(Topology& topology, const Vertex& vertex);

// One directed link.
LinkId add_one_way_link(Topology& topology, VertexId from, VertexId to, Link link, LinkKind kind);

// Two directed links of the same rate and latency. Returns the first, which leads from a to b.
LinkId add_link(Topology& topology, VertexId a, VertexId b, Link link, LinkKind kind);

inline const Vertex& vertex(const Topology& topology, VertexId id) { return topology.graph[index(id)]; }
inline VertexId vertex_of(const Topology& topology, GpuId gpu) { return topology.gpus[index(gpu)]; }
int32_t node_of(const Topology& topology, GpuId gpu);
std::optional<VertexId> find_vertex(const Topology& topology, std::string_view name);

// "node0/gpu3 -> node0/nvswitch"; the second and further parallel links end in " #2", " #3". Unique.
std::string link_name(const Topology& topology, LinkId link);

}  // namespace moesim
