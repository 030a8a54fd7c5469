// Which way a flow may go: the legs between two vertices by the rules of routes.h, and at each vertex of a leg the
// links that lead on at the least cost. A link costs one hop, but a global link of a dragonfly three.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "topologies/topology.h"

namespace moesim {

// Which links a leg may use: NVLink alone; those inside one server; those of the fabric between two NICs; all but
// those into a server that is neither end's.
enum class RouteScope : uint8_t { nvlink, server, fabric, anywhere };

// Costs to one destination from the vertices that may forward to it. They are kept for the range of vertices from the
// first to the last of these: builders number the fabric, and each server, in one run.
struct RouteCosts {
  static constexpr int32_t kFar = INT32_MAX;
  VertexId to;
  int32_t first = 0;
  std::vector<int32_t> costs;

  int32_t from(VertexId vertex) const {
    if (vertex == to) return 0;
    const int64_t at = int64_t(vertex) - first;
    return at >= 0 && at < int64_t(costs.size()) ? costs[size_t(at)] : kFar;
  }
};

// A part of a path that may only use the links of its scope. NICs on one leaf share the costs to that leaf, since all
// that is reached through it is as much further away.
struct RouteLeg {
  VertexId from;
  VertexId to;
  RouteScope scope;
  const RouteCosts* costs;  // valid until forget() or set_failed()
  int32_t beyond = 0;       // from where the costs lead to, to `to`

  int32_t cost_from(VertexId vertex) const {
    if (vertex == to) return 0;
    const int32_t cost = costs->from(vertex);
    return cost == RouteCosts::kFar ? cost : cost + beyond;
  }
};

// The links out of a vertex that lead on at the least cost, in order of addition, and that cost.
struct RouteWays {
  int32_t cost = RouteCosts::kFar;
  std::vector<LinkId> links;
};

// Another name of a GPU, as an end of a flow that stays off NVLink and travels through the NICs even between GPUs of
// one server, as RDMA does that is told nothing of servers. Where the fabric does not join the NICs it is the GPU
// itself.
VertexId by_nic(const Topology& topology, VertexId gpu);

class RouteSearch {
 public:
  // The topology must outlive the search and keep its shape.
  explicit RouteSearch(const Topology& topology);

  // From now on no leg uses these links, by LinkId.
  void set_failed(std::vector<bool> failed_links);

  // The legs of every path between the two, none if they are not joined. Either may be a by_nic().
  std::optional<std::vector<RouteLeg>> legs(VertexId from, VertexId to);
  RouteLeg leg(VertexId from, VertexId to, RouteScope scope);
  bool is_joined(const RouteLeg& leg) const;
  RouteWays ways_on(const RouteLeg& leg, VertexId at) const;

  // Frees what was searched. Legs that were handed out end here.
  void forget() { costs_.clear(); }

 private:
  using Legs = std::vector<RouteLeg>;

  bool are_joined(std::initializer_list<RouteLeg> candidate, Legs& legs) const;
  bool through_nics(VertexId from, VertexId from_nic, VertexId to_nic, VertexId to, Legs& legs);
  std::optional<Legs> legs_by_nic(VertexId from, VertexId to);
  bool handed_over(VertexId from, VertexId to, Legs& legs);
  bool handed_to(VertexId from, VertexId mate, VertexId to, Legs& legs);
  std::optional<LinkId> only_way_in(VertexId nic) const;
  RouteCosts search(VertexId to, RouteScope scope);
  bool may_use(RouteScope scope, LinkId link, VertexId to) const;
  bool may_forward(RouteScope scope, VertexId vertex) const;
  int32_t cost(LinkId link) const;

  const Topology* topology_;
  std::vector<bool> failed_;  // by LinkId; empty where none has
  std::vector<std::vector<VertexId>> gpus_of_node_;
  std::unordered_map<uint64_t, RouteCosts> costs_;  // by destination and scope; looked up only
  // By vertex: the last search that reached it, and at what cost.
  std::vector<std::pair<uint32_t, int32_t>> reached_;
  uint32_t searches_ = 0;
};

}  // namespace moesim
