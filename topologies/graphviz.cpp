#include "topologies/graphviz.h"

#include <fmt/format.h>  // core.h alone does not link format_to() under clang

#include <iterator>
#include <string_view>

namespace moesim {
namespace {

std::string_view look(VertexKind kind) {
  switch (kind) {
    case VertexKind::gpu:
      return "shape=box, style=filled, fillcolor=\"#b7e1a1\"";
    case VertexKind::cpu:
      return "shape=box3d, style=filled, fillcolor=\"#d9d9d9\"";
    case VertexKind::pcie_switch:
      return "shape=diamond, style=filled, fillcolor=\"#f4cccc\"";
    case VertexKind::nvswitch:
      return "shape=hexagon, style=filled, fillcolor=\"#93c47d\"";
    case VertexKind::nic:
      return "shape=component, style=filled, fillcolor=\"#cfe2f3\"";
    case VertexKind::leaf:
      return "shape=ellipse, style=filled, fillcolor=\"#9fc5e8\"";
    case VertexKind::spine:
      return "shape=doublecircle, style=filled, fillcolor=\"#6fa8dc\"";
    case VertexKind::core:
      return "shape=doubleoctagon, style=filled, fillcolor=\"#3d85c6\"";
    case VertexKind::router:
      return "shape=octagon, style=filled, fillcolor=\"#b4a7d6\"";
    case VertexKind::switch_:
      return "shape=ellipse, style=filled, fillcolor=\"#ffe599\"";
    case VertexKind::memory:
      return "shape=cylinder, style=filled, fillcolor=\"#d9d9d9\"";
  }
  return "";
}

// Layers of the drawing, from the bottom up: a line is drawn from the lower end to the higher.
int height(VertexKind kind) {
  switch (kind) {
    case VertexKind::nvswitch:
    case VertexKind::memory:
      return 0;
    case VertexKind::gpu:
    case VertexKind::cpu:
      return 1;
    case VertexKind::pcie_switch:
      return 2;
    case VertexKind::nic:
      return 3;
    case VertexKind::leaf:
    case VertexKind::switch_:
      return 4;
    case VertexKind::spine:
      return 5;
    case VertexKind::core:
    case VertexKind::router:
      return 6;
  }
  return 0;
}

std::string_view colour(LinkKind kind) {
  switch (kind) {
    case LinkKind::nvlink:
      return "#38761d";
    case LinkKind::pcie:
      return "#cc4125";
    case LinkKind::socket:
      return "#7f7f7f";
    case LinkKind::nic:
      return "#3d85c6";
    case LinkKind::fabric:
      return "#0b5394";
    case LinkKind::global:
      return "#674ea7";
    case LinkKind::wan:
      return "#a64d79";
    case LinkKind::memory:
      return "#7f7f7f";
  }
  return "";
}

// Ports and fabric in bits a second, buses in bytes, as their makers do.
std::string rate_label(const Link& link, LinkKind kind) {
  const bool in_bits =
      kind != LinkKind::nvlink && kind != LinkKind::pcie && kind != LinkKind::socket && kind != LinkKind::memory;
  const double giga = link.capacity.bytes_per_s * 1e-9;
  return in_bits ? fmt::format("{:.4g} Gb/s", giga * 8) : fmt::format("{:.4g} GB/s", giga);
}

// Inside its server a vertex goes by the part of its name after the server's.
std::string_view short_name(const Vertex& vertex) {
  const std::string_view name = vertex.name;
  return vertex.node == kNoNode ? name : name.substr(name.rfind('/') + 1);
}

void draw_vertices(const std::vector<const Vertex*>& vertices, std::string_view indent, std::string& out) {
  for (const Vertex* vertex : vertices)
    fmt::format_to(std::back_inserter(out), "{}\"{}\" [label=\"{}\", {}];\n", indent, vertex->name, short_name(*vertex),
                   look(vertex->kind));
}

void draw_link(const Topology& topology, LinkId link, std::string& out) {
  const LinkPlace& place = topology.places[index(link)];
  const bool duplex = place.reverse != kNoLink;
  if (duplex && place.reverse < link) return;  // its other half is drawn
  const Vertex* tail = &vertex(topology, place.from);
  const Vertex* head = &vertex(topology, place.to);
  if (duplex && height(tail->kind) > height(head->kind)) std::swap(tail, head);
  fmt::format_to(std::back_inserter(out), "  \"{}\" -> \"{}\" [label=\"{}\", color=\"{}\"{}{}];\n", tail->name,
                 head->name, rate_label(topology.links[index(link)], place.kind), colour(place.kind),
                 duplex ? ", dir=none" : "", height(tail->kind) == height(head->kind) ? ", constraint=false" : "");
}

}  // namespace

std::string graphviz(const Topology& topology) {
  std::string out =
      "digraph topology {\n"
      "  rankdir=BT; nodesep=0.3; ranksep=0.8;\n"
      "  graph [fontname=\"Helvetica\"]; node [fontname=\"Helvetica\"]; edge [fontname=\"Helvetica\", fontsize=9];\n";
  std::vector<std::vector<const Vertex*>> of_node(size_t(topology.nodes));
  std::vector<const Vertex*> of_fabric;
  for (const auto id : boost::make_iterator_range(boost::vertices(topology.graph))) {
    const Vertex& vertex = topology.graph[id];
    (vertex.node == kNoNode ? of_fabric : of_node[size_t(vertex.node)]).push_back(&vertex);
  }
  for (size_t node = 0; node < of_node.size(); ++node) {
    fmt::format_to(std::back_inserter(out), "  subgraph cluster_node{} {{\n    label=\"node {}\"; color=\"#999999\";\n",
                   node, node);
    draw_vertices(of_node[node], "    ", out);
    out += "  }\n";
  }
  draw_vertices(of_fabric, "  ", out);
  for (size_t link = 0; link < topology.links.size(); ++link) draw_link(topology, LinkId(link), out);
  return out + "}\n";
}

}  // namespace moesim
