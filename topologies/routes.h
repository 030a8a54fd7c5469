// Which links a flow crosses. Of all cheapest paths one is chosen for each flow by hash, fork by fork, as switches do.
//
// A path lies, by the first of these that joins the two ends:
//   1. between GPUs, over NVLink alone;
//   2. between vertices of one server, inside it;
//   3. between GPUs of different servers, out through the NIC of the one and in through the NIC of the other (where
//      Vertex::nic names them);
//   4. where the fabric does not join these two NICs, over NVLink to a GPU of the sender's server whose NIC it does
//   join
//      to the receiver's, and on through that: first of all to the GPU that has the receiver's number. Without NVLink,
//      over the server's buses to that GPU's NIC;
//   5. out and in through the NICs that reach all servers, where Vertex::far_nic names them;
//   6. anywhere, but not through a server that is neither end's.
// A by_nic() names a GPU that goes by 3. even inside its server, where the NICs are joined.
// GPUs never forward, but for 4. Each leg of a path (to the NIC, from NIC to NIC, from the NIC) has the least possible
// cost: one a link, and three a global link of a dragonfly, so that a path does not cross two of these where one will
// do.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/net/link.h"
#include "topologies/route_search.h"
#include "topologies/topology.h"

namespace moesim {

class Routes {
 public:
  // How many paths choices() gives for one pair at the most.
  static constexpr size_t kChoicesMax = 4096;

  // The topology must outlive the routes and keep its shape. Another seed makes flows collide elsewhere. Every span
  // that these routes hand out stays valid for their life.
  Routes(const Topology& topology, uint64_t seed);

  // The path of the flow with this key; the same key takes the same path. Empty if both ends are one vertex; they must
  // be joined. Equal paths are stored once.
  Path path(VertexId from, VertexId to, uint64_t flow_key);

  // All paths that path() may answer for the pair, in canonical order: by the links at the first fork in order of
  // addition, then by those at the second, ... Between two leaves under spines that is one a spine, in order of spine.
  // Where there are more than kChoicesMax, as many as that, spread evenly over the order. The ends must be joined.
  // Searched and stored once a pair.
  std::span<const Path> choices(VertexId from, VertexId to);

  // Links, by LinkId, that path_avoiding() keeps off from now on; none if empty. Takes O(links).
  void set_failed(std::vector<bool> failed_links);

  // The path of path() where it crosses no failed link. Else by hash one of the cheapest that cross none, which may be
  // a detour, by the same rules. None where the failed links cut the two ends off; they must be joined without
  // failures.
  std::optional<Path> path_avoiding(VertexId from, VertexId to, uint64_t flow_key);

  // Number of links of a path between the two, of the first in order; none if there is no path.
  std::optional<int32_t> hops(VertexId from, VertexId to);

  // Pairs of GPUs that no path joins, in order of destination; the first `at_most` of them.
  std::vector<std::pair<VertexId, VertexId>> unjoined_gpus(size_t at_most);

  // Every path that a flow may take, for tests and small networks: there can be exponentially many.
  std::vector<std::vector<LinkId>> every_shortest_path(VertexId from, VertexId to);

 private:
  // The ways already walked are kept as trees: a fork has a slot for each way on, an end has the whole path. So a
  // flow costs one hash a fork. A slot holds the index of a step, or none where no flow has gone yet.
  struct Step {
    VertexId fork = kNoVertex;
    uint32_t ways = 0;        // 0 at an end
    uint32_t first_slot = 0;  // of a fork
    Path path;                // of an end
  };
  static constexpr int32_t kNoStep = -1;
  struct Walked {
    std::unordered_map<uint64_t, uint32_t> slot_of_pair;  // the root of a pair's tree; looked up only
    std::vector<int32_t> slots;
    std::vector<Step> steps;
  };
  // Paths past failed links. Links fail in few runs.
  struct Detours {
    RouteSearch search;
    Walked walked;
  };

  void extend_every(const std::vector<RouteLeg>& way, size_t part, VertexId at, std::vector<LinkId>& walked,
                    std::vector<std::vector<LinkId>>& found) const;
  uint64_t hash_of(VertexId from, VertexId to, uint64_t flow_key) const;
  std::optional<Path> find_path(RouteSearch& search, Walked& walked, VertexId from, VertexId to, uint64_t hash);
  Path walk(const RouteSearch& search, Walked& walked, const std::vector<RouteLeg>& legs, uint64_t hash, uint32_t slot);
  Path store(const std::vector<LinkId>& links);

  const Topology* topology_;
  uint64_t seed_;
  RouteSearch search_;
  Walked walked_;
  std::vector<bool> failed_;
  std::optional<Detours> detours_;
  std::unordered_map<uint64_t, std::vector<Path>> choices_;  // by pair; looked up only
  std::vector<std::vector<LinkId>> stored_;  // blocks that never grow beyond what they reserved, so spans stay valid
};

// The capacity of the narrowest link of a path, which may not be empty.
Rate narrowest(const Topology& topology, Path path);

// The sum of the latencies of a path's links.
Duration latency(const Topology& topology, Path path);

}  // namespace moesim
