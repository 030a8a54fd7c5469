// An explicit list of vertices and links, for machines that no other builder makes.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "sim/config/suggest.h"
#include "topologies/builder.h"
#include "topologies/routes.h"
#include "topologies/topology.h"

namespace moesim {
namespace {

// Beyond this a list is no longer written by hand, and checking each pair of GPUs takes more than seconds.
constexpr int64_t kListedGpusMax = 4096;
constexpr int64_t kListedVerticesMax = 20'000;
constexpr int64_t kListedLinksMax = 200'000;
constexpr size_t kPairsNamedMax = 5;
constexpr size_t kNamesSuggestedMax = 20;  // each is compared with all names

struct ListedVertex {
  std::string name;
  VertexKind kind = VertexKind::switch_;
  std::optional<int32_t> node;
  std::optional<std::string> nic;
};

template <class Visitor>
void fields(Visitor& v, ListedVertex& s) {
  v.required("name", s.name, "unique; letters, digits and ._-/:");
  v.required("kind", s.kind, "what it is; GPUs are numbered in order of listing");
  v.optional("node", s.node, between(0, 99'999),
             "number of the server it sits in, from 0; GPUs need one, switches of the fabric have none");
  v.optional("nic", s.nic,
             "of a GPU: the NIC of its server through which it reaches others. Without it any shortest path is taken");
}

struct ListedLink {
  std::string from;
  std::string to;
  Rate rate;
  Duration latency;
  bool duplex = true;
  std::optional<LinkKind> kind;
};

template <class Visitor>
void fields(Visitor& v, ListedLink& s) {
  v.required("from", s.from, "name of a vertex");
  v.required("to", s.to, "name of a vertex");
  v.required("rate", s.rate, above(Rate{0}), "each direction");
  v.optional("latency", s.latency, between(Duration{}, 1_s), "each direction");
  v.optional("duplex", s.duplex, "false: from `from` to `to` only");
  v.optional("kind", s.kind, "what results group it with; without it, told by the kinds of its ends");
}

struct GraphOptions {
  std::vector<ListedVertex> vertices;
  std::vector<ListedLink> links;
};

template <class Visitor>
void fields(Visitor& v, GraphOptions& s) {
  v.required("vertices", s.vertices, "GPUs, switches, NICs, ...");
  v.required("links", s.links, "between them");
}

class Faults {
 public:
  // Beyond 1000 faults it adds none: enough is known by then.
  void add(std::string path, std::string message) {
    if (faults_.size() < 1000) faults_.push_back({0, std::move(path), std::move(message)});
  }
  size_t size() const { return faults_.size(); }
  void throw_if_any() { throw_faults("graph", std::move(faults_)); }

 private:
  std::vector<Fault> faults_;
};

// So that names of vertices and links stay unique and need no quoting anywhere.
bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= 200 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._-/:").find(c) != std::string_view::npos;
  });
}

void check_sizes(const GraphOptions& options, Faults& faults) {
  const auto at_most = [&](const char* path, int64_t count, int64_t count_max, const char* what) {
    if (count > count_max)
      faults.add(path, fmt::format("{} {} are more than the {} that a list may hold; take another builder", count, what,
                                   count_max));
  };
  const int64_t gpus = std::count_if(options.vertices.begin(), options.vertices.end(),
                                     [](const ListedVertex& v) { return v.kind == VertexKind::gpu; });
  if (gpus == 0) faults.add("/vertices", "there is no GPU among them");
  at_most("/vertices", gpus, kListedGpusMax, "GPUs");
  at_most("/vertices", int64_t(options.vertices.size()), kListedVerticesMax, "vertices");
  at_most("/links", int64_t(options.links.size()), kListedLinksMax, "links");
}

using VerticesByName = std::map<std::string, const ListedVertex*, std::less<>>;

void add_unknown_name(const std::string& path, const std::string& name, const VerticesByName& by_name, Faults& faults) {
  std::string message = fmt::format("there is no vertex \"{}\"", name);
  if (faults.size() < kNamesSuggestedMax) {
    std::vector<std::string> names;
    for (const auto& [known, listed] : by_name) names.push_back(known);
    message += suggestion(name, names);
  }
  faults.add(path, std::move(message));
}

VerticesByName check_names(const GraphOptions& options, Faults& faults) {
  VerticesByName by_name;
  for (size_t i = 0; i < options.vertices.size(); ++i) {
    const ListedVertex& listed = options.vertices[i];
    const std::string path = fmt::format("/vertices/{}/name", i);
    if (!is_name(listed.name))
      faults.add(path, "a name has 1 to 200 characters: letters, digits and ._-/:");
    else if (!by_name.emplace(listed.name, &listed).second)
      faults.add(path, fmt::format("\"{}\" is the name of an earlier vertex too", listed.name));
  }
  return by_name;
}

void check_nic(const ListedVertex& listed, const std::string& path, const VerticesByName& by_name, Faults& faults) {
  const auto nic = by_name.find(*listed.nic);
  if (listed.kind != VertexKind::gpu)
    faults.add(path, "only GPUs have one");
  else if (nic == by_name.end())
    add_unknown_name(path, *listed.nic, by_name, faults);
  else if (nic->second->kind != VertexKind::nic)
    faults.add(path, fmt::format("\"{}\" is not a NIC", *listed.nic));
  else if (nic->second->node != listed.node)
    faults.add(path, fmt::format("\"{}\" sits in another server than \"{}\"", *listed.nic, listed.name));
}

void check_vertices(const TopologyInput& in, const GraphOptions& options, const VerticesByName& by_name,
                    Faults& faults) {
  std::set<int32_t> nodes_with_gpu;
  for (size_t i = 0; i < options.vertices.size(); ++i) {
    const ListedVertex& listed = options.vertices[i];
    if (listed.kind == VertexKind::gpu && !listed.node)
      faults.add(fmt::format("/vertices/{}", i),
                 fmt::format("GPU \"{}\" needs the number of its server, node", listed.name));
    if (listed.node && (*listed.node < 0 || *listed.node >= in.nodes))
      faults.add(fmt::format("/vertices/{}/node", i),
                 fmt::format("{}, but the cluster's servers are 0 to {}", *listed.node, in.nodes - 1));
    if (listed.nic) check_nic(listed, fmt::format("/vertices/{}/nic", i), by_name, faults);
    if (listed.kind == VertexKind::gpu && listed.node) nodes_with_gpu.insert(*listed.node);
  }
  int32_t without_gpu = 0;
  while (nodes_with_gpu.contains(without_gpu)) ++without_gpu;
  if (without_gpu < in.nodes)
    faults.add("/vertices", fmt::format("server {} of the cluster's {} has no GPU", without_gpu, in.nodes));
}

void check_links(const GraphOptions& options, const VerticesByName& by_name, Faults& faults) {
  for (size_t i = 0; i < options.links.size(); ++i) {
    const ListedLink& listed = options.links[i];
    const auto end = [&](const char* key, const std::string& name) {
      if (!by_name.contains(name)) add_unknown_name(fmt::format("/links/{}/{}", i, key), name, by_name, faults);
    };
    end("from", listed.from);
    end("to", listed.to);
    if (listed.from == listed.to) faults.add(fmt::format("/links/{}", i), "leads from a vertex to itself");
    if (!(listed.rate > Rate{0})) faults.add(fmt::format("/links/{}/rate", i), "must be above 0");
  }
}

// What results group a link with, told by what it joins.
LinkKind kind_between(VertexKind a, VertexKind b) {
  using enum VertexKind;
  const auto either = [&](VertexKind kind) { return a == kind || b == kind; };
  if (either(nvswitch) || (a == gpu && b == gpu)) return LinkKind::nvlink;
  if (a == cpu && b == cpu) return LinkKind::socket;
  if (either(memory)) return LinkKind::memory;
  if (either(nic)) return either(cpu) || either(gpu) || either(pcie_switch) ? LinkKind::pcie : LinkKind::nic;
  if (either(pcie_switch) || (either(gpu) && either(cpu))) return LinkKind::pcie;
  return LinkKind::fabric;
}

Topology assemble(const GraphOptions& options) {
  Topology topology;
  for (const ListedVertex& listed : options.vertices)
    add_vertex(topology, {listed.kind, listed.name, listed.node.value_or(kNoNode), kNoVertex});
  for (const ListedVertex& listed : options.vertices)
    if (listed.nic)
      topology.graph[index(*find_vertex(topology, listed.name))].nic = *find_vertex(topology, *listed.nic);
  for (const ListedLink& listed : options.links) {
    const VertexId from = *find_vertex(topology, listed.from);
    const VertexId to = *find_vertex(topology, listed.to);
    const LinkKind kind = listed.kind.value_or(kind_between(vertex(topology, from).kind, vertex(topology, to).kind));
    (listed.duplex ? add_link : add_one_way_link)(topology, from, to, {listed.rate, listed.latency}, kind);
  }
  return topology;
}

Topology build_graph(const TopologyInput& in, const GraphOptions& options, Rng&) {
  Faults faults;
  check_sizes(options, faults);
  faults.throw_if_any();
  const VerticesByName by_name = check_names(options, faults);
  check_vertices(in, options, by_name, faults);
  check_links(options, by_name, faults);
  faults.throw_if_any();

  Topology topology = assemble(options);
  for (const auto& [from, to] : Routes(topology, 0).unjoined_gpus(kPairsNamedMax))
    faults.add("/links", fmt::format("no path leads from GPU \"{}\" to \"{}\"", vertex(topology, from).name,
                                     vertex(topology, to).name));
  faults.throw_if_any();
  return topology;
}

[[maybe_unused]] const bool registered =
    Registry<TopologyBuilder>::instance().add("graph", "an explicit list of vertices and links", build_graph);

}  // namespace
}  // namespace moesim
