// Clusters far apart: each a leaf-spine, whose spines all hang on a gateway, and gateways joined by wide-area links.
#include <fmt/core.h>

#include "topologies/builder.h"
#include "topologies/leaf_spine.h"
#include "topologies/topology.h"

namespace moesim {
namespace {

enum class WanShape : uint8_t { mesh, ring };
constexpr auto enum_names(WanShape) {
  return std::to_array<std::pair<WanShape, const char*>>({{WanShape::mesh, "mesh"}, {WanShape::ring, "ring"}});
}

struct WanOptions {
  int32_t clusters = 2;
  WanShape shape = WanShape::mesh;
  // One wave of a coherent 400ZR transceiver.
  Rate wan_link = 50_GBps;
  // Light takes 5 us a kilometre of fibre, so 1,000 km.
  Duration wan_latency = 5_ms;
  LeafSpineOptions fabric;
};

template <class Visitor>
void fields(Visitor& v, WanOptions& s) {
  v.optional("clusters", s.clusters, between(1, 64),
             "the servers are dealt to them in runs, which differ by one server at the most");
  v.optional("shape", s.shape, "mesh: a wide-area link between each two clusters; ring: each has one to the next");
  v.optional("wan_link", s.wan_link, above(Rate{0}), "one wide-area link, each direction");
  v.optional("wan_latency", s.wan_latency, between(Duration{}, 1_s),
             "of one wide-area link; 5 us a kilometre of fibre");
  fields(v, s.fabric);
}

[[maybe_unused]] void check_fields(const WanOptions& s,
                                   const std::function<void(std::string key, std::string message)>& fault) {
  check_fields(s.fabric, fault);
}

// Cluster c has the servers from the first of it to the first of the next.
int32_t first_node(const TopologyInput& in, const WanOptions& options, int32_t cluster) {
  return int32_t(int64_t{in.nodes} * cluster / options.clusters);
}

void add_wan(Topology& topology, const WanOptions& options, const std::vector<VertexId>& gateways) {
  const Link wan{options.wan_link, options.wan_latency};
  const size_t clusters = gateways.size();
  for (size_t a = 0; a < clusters; ++a)
    for (size_t b = a + 1; b < clusters; ++b)
      if (options.shape == WanShape::mesh || b == a + 1 || (a == 0 && b + 1 == clusters))
        add_link(topology, gateways[a], gateways[b], wan, LinkKind::wan);
}

// One gateway a cluster, over its spines, or over its leaf where that is alone.
VertexId add_gateway(Topology& topology, const WanOptions& options, const LeavesAndSpines& fabric,
                     const std::string& prefix) {
  const VertexId gateway = add_vertex(topology, {VertexKind::router, prefix + "gateway"});
  for (const VertexId below : fabric.spines.empty() ? fabric.leaves : fabric.spines)
    add_link(topology, below, gateway, {options.fabric.spine.link, options.fabric.spine.latency}, LinkKind::fabric);
  return gateway;
}

std::vector<Fault> wan_faults(const TopologyInput& in, const WanOptions& options,
                              const std::vector<FabricSize>& sizes) {
  const double clusters = double(options.clusters);
  double vertices = clusters;
  double links = clusters * clusters + nic_ports(in);  // the wide-area links are fewer
  FabricSize widest;
  for (const FabricSize& size : sizes) {
    vertices += fabric_vertices(size);
    links += fabric_links(size) + 2 * std::max(size.spines, 1.0);
    if (size.leaves > widest.leaves) widest = size;
  }
  std::vector<Fault> faults = size_faults(in, vertices, links);
  if (options.clusters > in.nodes)
    faults.push_back({0, "/clusters", fmt::format("{}, but there are only {} servers", options.clusters, in.nodes)});
  fabric_faults(widest, options.fabric.spine, faults);
  return faults;
}

Topology build_wan(const TopologyInput& in, const WanOptions& options, Rng&) {
  std::vector<FabricSize> sizes;
  for (int32_t cluster = 0; cluster < options.clusters; ++cluster)
    sizes.push_back(leaf_spine_size(first_node(in, options, cluster + 1) - first_node(in, options, cluster),
                                    nic_rate_of_node(in.node), options.fabric));
  throw_faults("wan", wan_faults(in, options, sizes));

  Topology topology;
  std::vector<LeavesAndSpines> fabrics;
  std::vector<VertexId> gateways;
  for (size_t cluster = 0; cluster < sizes.size(); ++cluster) {
    const std::string prefix = fmt::format("cluster{}/", cluster);
    fabrics.push_back(add_leaves_and_spines(topology, sizes[cluster], options.fabric.spine, prefix));
    gateways.push_back(add_gateway(topology, options, fabrics.back(), prefix));
  }
  add_wan(topology, options, gateways);
  for (int32_t cluster = 0; cluster < options.clusters; ++cluster) {
    const int32_t first = first_node(in, options, cluster);
    for (int32_t node = first; node < first_node(in, options, cluster + 1); ++node)
      join_leaf(topology, add_node(topology, in.node, node), node - first, fabrics[size_t(cluster)], options.fabric,
                {in.node.nic, in.node.nic_latency});
  }
  return topology;
}

[[maybe_unused]] const bool registered = Registry<TopologyBuilder>::instance().add(
    "wan", "clusters of leaf-spine, joined by wide-area links of long latency", build_wan);

}  // namespace
}  // namespace moesim
