// What tests measure of a topology and of paths in it.
#pragma once

#include <gtest/gtest.h>

#include <boost/graph/edmonds_karp_max_flow.hpp>
#include <functional>
#include <set>
#include <string>

#include "topologies/builder.h"
#include "topologies/routes.h"
#include "topologies/topology.h"

namespace moesim {

inline TopologyInput servers(int32_t nodes) {
  TopologyInput in;
  in.nodes = nodes;
  return in;
}

// Servers of one GPU and one NIC, so that NIC n is server n's.
inline TopologyInput hosts(int32_t nodes) {
  TopologyInput in = servers(nodes);
  in.node.gpus = 1;
  in.node.nics = 1;
  return in;
}

inline int count(const Topology& topology, VertexKind kind) {
  int vertices = 0;
  for (const auto id : boost::make_iterator_range(boost::vertices(topology.graph)))
    vertices += topology.graph[id].kind == kind;
  return vertices;
}

inline int count(const Topology& topology, LinkKind kind) {
  int links = 0;
  for (const LinkPlace& place : topology.places) links += place.kind == kind;
  return links;
}

// What the chosen GPUs can send at once to all the others: the maximum flow, which by duality is the smallest cut.
inline double cross_section(const Topology& topology, const std::function<bool(VertexId gpu)>& sends) {
  using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
  using FlowGraph = boost::adjacency_list<
      boost::vecS, boost::vecS, boost::directedS, boost::no_property,
      boost::property<boost::edge_capacity_t, int64_t,
                      boost::property<boost::edge_residual_capacity_t, int64_t,
                                      boost::property<boost::edge_reverse_t, Traits::edge_descriptor>>>>;
  const size_t vertices = boost::num_vertices(topology.graph);
  FlowGraph flow(vertices + 2);
  auto capacity = boost::get(boost::edge_capacity, flow);
  auto reverse = boost::get(boost::edge_reverse, flow);
  const auto add = [&](size_t from, size_t to, int64_t rate) {
    const auto there = boost::add_edge(from, to, flow).first;
    const auto back = boost::add_edge(to, from, flow).first;
    capacity[there] = rate;
    capacity[back] = 0;
    reverse[there] = back;
    reverse[back] = there;
  };
  for (size_t link = 0; link < topology.links.size(); ++link)
    add(index(topology.places[link].from), index(topology.places[link].to),
        int64_t(topology.links[link].capacity.bytes_per_s));
  for (const VertexId gpu : topology.gpus) {
    const bool from = sends(gpu);
    add(from ? vertices : index(gpu), from ? index(gpu) : vertices + 1, INT64_MAX / 1'000'000);
  }
  return double(boost::edmonds_karp_max_flow(flow, vertices, vertices + 1));
}

// The GPUs of servers [0, split) send.
inline double cross_section(const Topology& topology, int32_t split) {
  return cross_section(topology, [&](VertexId gpu) { return vertex(topology, gpu).node < split; });
}

inline std::string names(const Topology& topology, Path path) {
  if (path.empty()) return "";
  std::string text = vertex(topology, topology.places[index(path.front())].from).name;
  for (const LinkId link : path) text += " " + vertex(topology, topology.places[index(link)].to).name;
  return text;
}

inline std::string way(const Topology& topology, const std::string& from, const std::string& to) {
  Routes routes(topology, 1);
  return names(topology, routes.path(*find_vertex(topology, from), *find_vertex(topology, to), 0));
}

// Connected from end to end, no vertex twice, no third server between the ends, and no GPU but where a flow is handed
// over to one of the sender's server.
inline void expect_sound(const Topology& topology, Path path, VertexId from, VertexId to) {
  VertexId at = from;
  std::set<VertexId> seen{from};
  for (const LinkId link : path) {
    const LinkPlace& place = topology.places[index(link)];
    ASSERT_EQ(place.from, at);
    at = place.to;
    EXPECT_TRUE(seen.insert(at).second) << "twice at " << vertex(topology, at).name;
    if (at == to) continue;
    const Vertex& between = vertex(topology, at);
    if (between.kind == VertexKind::gpu) {
      EXPECT_TRUE(between.node == vertex(topology, from).node && place.kind == LinkKind::nvlink) << between.name;
    }
    EXPECT_TRUE(between.node == kNoNode || between.node == vertex(topology, from).node ||
                between.node == vertex(topology, to).node)
        << between.name;
  }
  EXPECT_EQ(at, to);
}

}  // namespace moesim
