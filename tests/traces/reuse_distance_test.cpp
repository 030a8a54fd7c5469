#include "traces/reuse_distance.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/traces/trace_cases.h"

namespace moesim {
namespace {

// a b c a a b: a is reached again after b, c and itself; then at once; b after c, a and itself.
TEST(ReuseDistance, CountsDifferentObjectsSinceTheLastAccess) {
  ReuseDistances distances(3);
  std::vector<int64_t> found;
  for (const int64_t object : {0, 1, 2, 0, 0, 1}) found.push_back(distances.access(object));
  EXPECT_EQ(found, (std::vector<int64_t>{0, 0, 0, 3, 1, 3}));
}

// The law of Mattson: an LRU cache of that size, played access by access, hits just as often.
TEST(ReuseDistance, GivesTheHitsOfAnLruCacheOfEverySize) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    Rng rng(seed);
    const RoutingTrace trace = [&] {
      RoutingTrace made = empty_trace(400, 1, 2, 9);
      for (uint16_t& id : made.ids) id = uint16_t(rng.below(3) == 0 ? rng.below(9) : rng.below(3));
      return made;
    }();
    const HitRates rates = lru_hit_rates_by_layer(trace)[0];
    EXPECT_EQ(rates, lru_hit_rates(trace));
    for (size_t size = 1; size <= 9; ++size) {
      std::vector<uint16_t> cache;  // the most recent first
      int64_t hits = 0;
      for (const uint16_t id : trace.ids) {
        const auto found = std::find(cache.begin(), cache.end(), id);
        hits += found != cache.end();
        if (found != cache.end()) cache.erase(found);
        cache.insert(cache.begin(), id);
        if (cache.size() > size) cache.pop_back();
      }
      EXPECT_DOUBLE_EQ(rates[size - 1], double(hits) / 800) << seed << " size " << size;
    }
  }
}

TEST(ReuseDistance, PassesOverDroppedChoices) {
  RoutingTrace trace = empty_trace(3, 1, 1, 2);
  trace.ids = {1, kDropped, 1};
  EXPECT_DOUBLE_EQ(lru_hit_rates(trace)[0], 0.5);
}

}  // namespace
}  // namespace moesim
