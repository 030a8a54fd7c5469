// The k-ary fat-tree of Al-Fares, Loukissas and Vahdat, SIGCOMM 2008: k pods of k/2 edge and k/2 aggregation switches,
// and (k/2)^2 core switches, all of k ports. Its hosts are the NICs, in order of server, k/2 an edge switch. Only the
// pods and edge switches that are needed are built. An oversubscribed level leaves out some of the switches above it.
#include <fmt/core.h>

#include <cmath>

#include "topologies/builder.h"
#include "topologies/topology.h"

namespace moesim {
namespace {

struct FatTreeOptions {
  std::optional<int32_t> k;
  double edge_oversubscription = 1;
  double core_oversubscription = 1;
  std::optional<Rate> link;
  // An Ethernet switch takes 300-800 ns from port to port (recalled).
  Duration latency = 500_ns;
};

template <class Visitor>
void fields(Visitor& v, FatTreeOptions& s) {
  v.optional("k", s.k, between(2, 1000),
             "ports of a switch, an even number; k^3 / 4 NICs are the most. The least that holds the NICs, from 4");
  v.optional("edge_oversubscription", s.edge_oversubscription, between(1.0, 1000.0),
             "NICs of an edge switch over its links up, which are rounded up");
  v.optional("core_oversubscription", s.core_oversubscription, between(1.0, 1000.0),
             "links of an aggregation switch down over those up, which are rounded up");
  v.optional("link", s.link, above(Rate{0}), "one link between two switches, each direction. The NIC's rate");
  v.optional("latency", s.latency, between(Duration{}, 1_s), "of one link between two switches");
}

[[maybe_unused]] void check_fields(const FatTreeOptions& s,
                                   const std::function<void(std::string key, std::string message)>& fault) {
  if (s.k && *s.k % 2 != 0) fault("k", fmt::format("{} is odd; half of a switch's ports lead up", *s.k));
}

double nics_max(double k) { return k * k * k / 4; }

double least_k(double nics) {
  double k = 4;
  while (nics_max(k) < nics) k += 2;
  return k;
}

// In doubles, since absurd settings make absurd sizes.
struct FatTreeSize {
  double nics = 0;
  double half = 0;  // of the ports of a switch
  double edges = 0;
  double pods = 0;
  double aggregations_of_pod = 0;
  double cores_of_aggregation = 0;

  double cores() const { return aggregations_of_pod * cores_of_aggregation; }
  double vertices() const { return edges + pods * aggregations_of_pod + cores(); }
  double links() const { return 2 * (nics + edges * aggregations_of_pod + pods * cores()); }
};

FatTreeSize fat_tree_size(const TopologyInput& in, const FatTreeOptions& options) {
  FatTreeSize size;
  size.nics = double(in.nodes) * double(in.node.nics);
  size.half = (options.k ? double(*options.k) : least_k(size.nics)) / 2;
  size.edges = std::ceil(size.nics / size.half);
  size.pods = std::ceil(size.edges / size.half);
  if (size.edges > 1) size.aggregations_of_pod = std::ceil(size.half / options.edge_oversubscription);
  if (size.pods > 1) size.cores_of_aggregation = std::ceil(size.half / options.core_oversubscription);
  return size;
}

// Returns the edge switches.
std::vector<VertexId> add_switches(Topology& topology, const FatTreeSize& size, const Link& link) {
  const auto half = int64_t(size.half);
  std::vector<VertexId> edges;
  for (int64_t i = 0; i < int64_t(size.edges); ++i)
    edges.push_back(add_vertex(topology, {VertexKind::leaf, fmt::format("pod{}/edge{}", i / half, i % half)}));
  // By pod and then by number, so that the links up of a switch are in order of what is above it.
  std::vector<VertexId> aggregations;
  for (int64_t pod = 0; pod < int64_t(size.pods); ++pod)
    for (int64_t i = 0; i < int64_t(size.aggregations_of_pod); ++i) {
      aggregations.push_back(add_vertex(topology, {VertexKind::spine, fmt::format("pod{}/aggregation{}", pod, i)}));
      for (size_t edge = size_t(pod * half); edge < std::min(size_t((pod + 1) * half), edges.size()); ++edge)
        add_link(topology, edges[edge], aggregations.back(), link, LinkKind::fabric);
    }
  // Aggregation switch i of every pod goes to the same cores.
  for (int64_t core = 0; core < int64_t(size.cores()); ++core) {
    const VertexId id = add_vertex(topology, {VertexKind::core, fmt::format("core{}", core)});
    const int64_t below = core / int64_t(size.cores_of_aggregation);
    for (int64_t pod = 0; pod < int64_t(size.pods); ++pod)
      add_link(topology, aggregations[size_t(pod * int64_t(size.aggregations_of_pod) + below)], id, link,
               LinkKind::fabric);
  }
  return edges;
}

Topology build_fat_tree(const TopologyInput& in, const FatTreeOptions& options, Rng&) {
  const FatTreeSize size = fat_tree_size(in, options);
  std::vector<Fault> faults = size_faults(in, size.vertices(), size.links());
  if (options.k && size.nics > nics_max(double(*options.k)))
    faults.push_back({0, "/k",
                      fmt::format("switches of {} ports join {:.0f} NICs at the most, and there are {:.0f}", *options.k,
                                  nics_max(double(*options.k)), size.nics)});
  throw_faults("fat-tree", std::move(faults));

  Topology topology;
  const std::vector<VertexId> edges =
      add_switches(topology, size, {options.link.value_or(in.node.nic), options.latency});
  size_t nics = 0;
  for (int32_t node = 0; node < in.nodes; ++node)
    for (const VertexId nic : add_node(topology, in.node, node))
      add_link(topology, nic, edges[nics++ / size_t(size.half)], {in.node.nic, in.node.nic_latency}, LinkKind::nic);
  return topology;
}

[[maybe_unused]] const bool registered = Registry<TopologyBuilder>::instance().add(
    "fat-tree", "k-ary fat-tree of three levels of equal switches", build_fat_tree);

}  // namespace
}  // namespace moesim
