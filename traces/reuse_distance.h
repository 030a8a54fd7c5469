// How often an LRU cache would hit, for every size of it at once: from reuse distances, in one pass.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "traces/routing_trace.h"

namespace moesim {

// The reuse distance of an access is the number of different objects accessed since the last one to the same object,
// itself included: an LRU cache of at least that many objects hits (Mattson and others, IBM Systems Journal 1970).
// O(log objects) an access, by a Fenwick tree over the times of last accesses (Bennett and Kruskal, IBM Journal of
// Research and Development 1975), which are renumbered now and then, so that memory is O(objects).
class ReuseDistances {
 public:
  explicit ReuseDistances(int64_t objects);

  int64_t access(int64_t object);  // its reuse distance; 0 for the first access to it

 private:
  void add(uint32_t time, int32_t change);
  int32_t last_accesses_until(uint32_t time) const;
  void renumber();

  std::vector<int32_t> tree_;          // of how many objects were last accessed at each time, from 1
  std::vector<uint32_t> time_of_;      // by object: of its last access; 0 for none
  std::vector<uint32_t> object_plus_;  // by time: the object accessed then, plus 1; 0 where it was accessed again
  uint32_t now_ = 0;
  int32_t seen_ = 0;
};

// Of caches with room for 1, 2, ... objects, the share of all accesses that hit. Empty where there was none.
using HitRates = std::vector<double>;

// A cache of experts for each layer of its own, which are accessed token by token as the trace has them.
std::vector<HitRates> lru_hit_rates_by_layer(const RoutingTrace& trace);

// One cache for the experts of all layers: accessed token by token, layer by layer.
HitRates lru_hit_rates(const RoutingTrace& trace);

}  // namespace moesim
