// Dragonfly of Kim, Dally, Scott and Abts, ISCA 2008: groups of routers that are all joined to each other, and global
// links between all groups. A router has p NICs, a - 1 local links and h global ones; a h + 1 groups are the most.
// Routing is minimal: no path crosses more than one global link (routes.h).
#include <fmt/core.h>

#include <cmath>

#include "topologies/builder.h"
#include "topologies/topology.h"

namespace moesim {
namespace {

struct DragonflyOptions {
  std::optional<int32_t> routers;
  std::optional<int32_t> global_links;
  std::optional<int32_t> nics;
  std::optional<Rate> local_link;
  std::optional<Rate> global_link;
  // A switch takes 300-800 ns from port to port (recalled).
  Duration local_latency = 500_ns;
  // The same and 100 m of fibre, at 5 ns a metre.
  Duration global_latency = 1_us;
};

template <class Visitor>
void fields(Visitor& v, DragonflyOptions& s) {
  v.optional(
      "routers", s.routers, between(1, 10'000),
      "routers of a group, a. What is not given of a, h and p follows from a = 2 h = 2 p, which balances the load, "
      "and with none of them given the smallest such network is taken");
  v.optional("global_links", s.global_links, between(1, 10'000), "links of a router to other groups, h");
  v.optional("nics", s.nics, between(1, 10'000), "NICs of a router, p; they are dealt in order of server");
  v.optional("local_link", s.local_link, above(Rate{0}),
             "between two routers of a group, each direction. The NIC's rate");
  v.optional("global_link", s.global_link, above(Rate{0}),
             "one link between two groups, each direction. The NIC's rate");
  v.optional("local_latency", s.local_latency, between(Duration{}, 1_s), "of a link between two routers of a group");
  v.optional("global_latency", s.global_latency, between(Duration{}, 1_s), "of a link between two groups");
}

// In doubles, since absurd settings make absurd sizes.
struct DragonflySize {
  double routers = 0;  // of a group
  double global_links = 0;
  double nics = 0;  // of a router
  double nics_of_all = 0;
  double groups = 0;

  double ports() const { return routers * global_links; }  // of a group to others
  double links_of_pair() const { return groups > 1 ? std::floor(ports() / (groups - 1)) : 0; }
  double vertices() const { return groups * routers; }
  double links() const {
    return 2 * nics_of_all + groups * routers * (routers - 1) + groups * (groups - 1) * links_of_pair();
  }
};

DragonflySize dragonfly_size(const TopologyInput& in, const DragonflyOptions& options) {
  DragonflySize size;
  size.nics_of_all = double(in.nodes) * double(in.node.nics);
  double h = 1;  // of the balanced network
  if (options.global_links)
    h = double(*options.global_links);
  else if (options.nics)
    h = double(*options.nics);
  else if (options.routers)
    h = std::ceil(double(*options.routers) / 2);
  else
    while (2 * h * h * (2 * h * h + 1) < size.nics_of_all) ++h;
  size.routers = options.routers ? double(*options.routers) : 2 * h;
  size.global_links = options.global_links ? double(*options.global_links) : h;
  size.nics = options.nics ? double(*options.nics) : h;
  size.groups = std::ceil(size.nics_of_all / (size.routers * size.nics));
  return size;
}

// By group and then by number.
std::vector<VertexId> add_routers(Topology& topology, const DragonflySize& size, const Link& local) {
  const auto of_group = size_t(size.routers);
  std::vector<VertexId> routers;
  for (size_t group = 0; group < size_t(size.groups); ++group)
    for (size_t i = 0; i < of_group; ++i) {
      routers.push_back(add_vertex(topology, {VertexKind::router, fmt::format("group{}/router{}", group, i)}));
      for (size_t other = group * of_group; other + 1 < routers.size(); ++other)
        add_link(topology, routers[other], routers.back(), local, LinkKind::fabric);
    }
  return routers;
}

// Port q of group g, of groups G, leads to group g + q + 1 modulo G, as often as all groups have ports for, and ends
// there in the port that leads back. Ports are dealt to the routers in order, h each.
void add_global_links(Topology& topology, const DragonflySize& size, const std::vector<VertexId>& routers,
                      const Link& global) {
  const auto groups = size_t(size.groups);
  const auto of_group = size_t(size.routers);
  const auto router = [&](size_t group, size_t port) {
    return routers[group * of_group + port / size_t(size.global_links)];
  };
  for (size_t group = 0; group < groups; ++group)
    for (size_t port = 0; port < size_t(size.links_of_pair()) * (groups - 1); ++port) {
      const size_t ahead = port % (groups - 1);
      const size_t other = (group + ahead + 1) % groups;
      const size_t back = port - ahead + groups - 2 - ahead;
      if (group < other) add_link(topology, router(group, port), router(other, back), global, LinkKind::global);
    }
}

Topology build_dragonfly(const TopologyInput& in, const DragonflyOptions& options, Rng&) {
  const DragonflySize size = dragonfly_size(in, options);
  std::vector<Fault> faults = size_faults(in, size.vertices(), size.links());
  if (size.groups > size.ports() + 1)
    faults.push_back(
        {0, "/global_links",
         fmt::format(
             "{:.0f} NICs fill {:.0f} groups of {:.0f} routers with {:.0f} NICs each, but {:.0f} global links a "
             "router join {:.0f} groups at the most",
             size.nics_of_all, size.groups, size.routers, size.nics, size.global_links, size.ports() + 1)});
  throw_faults("dragonfly", std::move(faults));

  Topology topology;
  const std::vector<VertexId> routers =
      add_routers(topology, size, {options.local_link.value_or(in.node.nic), options.local_latency});
  add_global_links(topology, size, routers, {options.global_link.value_or(in.node.nic), options.global_latency});
  size_t nics = 0;
  for (int32_t node = 0; node < in.nodes; ++node)
    for (const VertexId nic : add_node(topology, in.node, node))
      add_link(topology, nic, routers[nics++ / size_t(size.nics)], {in.node.nic, in.node.nic_latency}, LinkKind::nic);
  return topology;
}

[[maybe_unused]] const bool registered = Registry<TopologyBuilder>::instance().add(
    "dragonfly", "groups of fully joined routers, global links between all groups", build_dragonfly);

}  // namespace
}  // namespace moesim
