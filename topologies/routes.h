// Which links a flow crosses. Of all shortest paths one is chosen for each flow by hash, fork by fork, as switches do.
//
// A path lies, by the first of these that joins the two ends:
//   1. between GPUs, over NVLink alone;
//   2. between vertices of one server, inside it;
//   3. between GPUs of different servers, out through the NIC of the one and in through the NIC of the other (where
//      Vertex::nic names them);
//   4. anywhere, but not through a server that is neither end's.
// GPUs never forward. Each leg of a path (to the NIC, from NIC to NIC, from the NIC) has the fewest possible hops.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/net/link.h"
#include "topologies/topology.h"

namespace moesim {

class Routes {
 public:
  // The topology must outlive the routes and keep its shape. Another seed makes flows collide elsewhere.
  Routes(const Topology& topology, uint64_t seed);

  // The path of the flow with this key; the same key takes the same path. Empty if both ends are one vertex; they must
  // be joined. The span stays valid for the life of these routes, and equal paths are stored once.
  Path path(VertexId from, VertexId to, uint64_t flow_key);

  // Number of links of every path between the two; none if there is no path.
  std::optional<int32_t> hops(VertexId from, VertexId to);

  // Pairs of GPUs that no path joins, in order of destination; the first `at_most` of them.
  std::vector<std::pair<VertexId, VertexId>> unjoined_gpus(size_t at_most);

  // Every path that a flow may take, for tests and small networks: there can be exponentially many.
  std::vector<std::vector<LinkId>> every_shortest_path(VertexId from, VertexId to);

 private:
  // Which links a leg of a path may use, from 1. to 4. above; `fabric` is the middle leg of 3.
  enum class Scope : uint8_t { nvlink, server, fabric, anywhere };
  // Hops to one destination from the vertices that may forward to it. They are kept for the range of vertices from the
  // first to the last of these: builders number the fabric, and each server, in one run.
  struct Distances {
    static constexpr int32_t kFar = INT32_MAX;
    VertexId to;
    int32_t first = 0;
    std::vector<int32_t> hops;

    int32_t from(VertexId vertex) const {
      if (vertex == to) return 0;
      const int64_t at = int64_t(vertex) - first;
      return at >= 0 && at < int64_t(hops.size()) ? hops[size_t(at)] : kFar;
    }
  };

  // A part of a path that may only use the links of its scope.
  struct Leg {
    VertexId from;
    VertexId to;
    Scope scope;
    const Distances* distances;  // to `to`
  };

  // The links out of a vertex that lead on in the fewest hops, in order of addition, and how many hops it is then.
  struct Ways {
    int32_t hops = Distances::kFar;
    std::vector<LinkId> links;
  };

  // The ways already walked are kept as trees: a fork has a slot for each way on, an end has the whole path. So a
  // flow costs one hash a fork. A slot holds the index of a step, or none where no flow has gone yet.
  struct Step {
    VertexId fork = kNoVertex;
    uint32_t ways = 0;        // 0 at an end
    uint32_t first_slot = 0;  // of a fork
    Path path;                // of an end
  };
  static constexpr int32_t kNoStep = -1;

  std::optional<std::vector<Leg>> legs(VertexId from, VertexId to);
  Leg leg(VertexId from, VertexId to, Scope scope);
  Distances search(VertexId to, Scope scope);
  std::optional<int32_t> hops(const Leg& leg) const;
  Ways ways_on(const Leg& leg, VertexId at) const;
  bool may_use(Scope scope, LinkId link, VertexId to) const;
  bool may_forward(Scope scope, VertexId vertex) const;
  void extend_every(const std::vector<Leg>& way, size_t part, VertexId at, std::vector<LinkId>& walked,
                    std::vector<std::vector<LinkId>>& found) const;

  uint64_t hash_of(VertexId from, VertexId to, uint64_t flow_key) const;
  Path walk(VertexId from, VertexId to, uint64_t hash, uint32_t slot);
  Path store(const std::vector<LinkId>& links);

  const Topology* topology_;
  uint64_t seed_;
  // Both are looked up only, so that their order reaches no result.
  std::unordered_map<uint64_t, Distances> distances_;    // by destination and scope
  std::unordered_map<uint64_t, uint32_t> slot_of_pair_;  // the root of a pair's tree
  std::vector<int32_t> slots_;
  std::vector<Step> steps_;
  std::vector<std::vector<LinkId>> stored_;  // blocks that never grow beyond what they reserved, so spans stay valid
  std::vector<uint32_t> seen_;               // by vertex: the last search that reached it
  uint32_t searches_ = 0;
};

// The capacity of the narrowest link of a path, which may not be empty.
Rate narrowest(const Topology& topology, Path path);

// The sum of the latencies of a path's links.
Duration latency(const Topology& topology, Path path);

}  // namespace moesim
