#include "topologies/topology.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {

VertexId add_vertex(Topology& topology, const Vertex& vertex) {
  const VertexId id{int32_t(boost::num_vertices(topology.graph))};
  const bool is_new = topology.by_name.emplace(vertex.name, id).second;
  CHECK(is_new);
  CHECK(vertex.node >= kNoNode);
  if (vertex.kind == VertexKind::gpu) topology.gpus.push_back(id);
  if (vertex.kind == VertexKind::cpu) topology.cpus.push_back(id);
  topology.nodes = std::max(topology.nodes, vertex.node + 1);
  boost::add_vertex(vertex, topology.graph);
  return id;
}

LinkId add_one_way_link(Topology& topology, VertexId from, VertexId to, Link link, LinkKind kind) {
  CHECK(index(from) < boost::num_vertices(topology.graph));
  CHECK(index(to) < boost::num_vertices(topology.graph));
  CHECK(from != to);
  CHECK(link.capacity > Rate{0});
  CHECK(link.latency >= Duration{});
  const LinkId id{int32_t(topology.links.size())};
  topology.links.push_back(link);
  topology.places.push_back({from, to, kind, kNoLink});
  boost::add_edge(index(from), index(to), Edge{id}, topology.graph);
  return id;
}

LinkId add_link(Topology& topology, VertexId a, VertexId b, Link link, LinkKind kind) {
  const LinkId there = add_one_way_link(topology, a, b, link, kind);
  const LinkId back = add_one_way_link(topology, b, a, link, kind);
  topology.places[index(there)].reverse = back;
  topology.places[index(back)].reverse = there;
  return there;
}

int32_t node_of(const Topology& topology, GpuId gpu) { return vertex(topology, vertex_of(topology, gpu)).node; }

std::optional<VertexId> find_vertex(const Topology& topology, std::string_view name) {
  const auto found = topology.by_name.find(name);
  if (found == topology.by_name.end()) return {};
  return found->second;
}

std::string link_name(const Topology& topology, LinkId link) {
  const LinkPlace& place = topology.places[index(link)];
  int number = 1;
  for (const auto edge : boost::make_iterator_range(boost::out_edges(index(place.from), topology.graph)))
    if (boost::target(edge, topology.graph) == index(place.to) && topology.graph[edge].link < link) ++number;
  std::string name = fmt::format("{} -> {}", vertex(topology, place.from).name, vertex(topology, place.to).name);
  if (number > 1) name += fmt::format(" #{}", number);
  return name;
}

}  // namespace moesim
