#include "sim/core/event_queue.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <queue>
#include <utility>

#include "sim/core/random.h"

namespace moesim {
namespace {

// The oracle is std::priority_queue on (time, sequence); the payload carries the sequence.
struct Pair {
  void push(int64_t time) {
    queue.push({{time}, nullptr, nullptr, sequence});
    expected.push({time, sequence++});
  }
  void pop() {
    if (!queue.ready()) now = queue.advance().ps;
    const Event event = queue.pop();
    ASSERT_EQ(event.time.ps, now);
    ASSERT_EQ(std::pair(event.time.ps, event.payload), expected.top());
    expected.pop();
    ASSERT_EQ(queue.size(), expected.size());
  }
  void pop_all() {
    while (!expected.empty()) ASSERT_NO_FATAL_FAILURE(pop());
    EXPECT_TRUE(queue.empty());
  }

  using Key = std::pair<int64_t, uint64_t>;
  EventQueue queue;
  std::priority_queue<Key, std::vector<Key>, std::greater<>> expected;
  int64_t now = 0;
  uint64_t sequence = 0;
};

TEST(EventQueue, PopsByTimeThenByOrderOfInsertion) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Pair pair;
    const uint64_t spread = uint64_t(1) << rng.below(50);
    for (int i = 0; i < 2000; ++i) {
      pair.push(pair.now + int64_t(rng.below(spread)));
      while (!pair.expected.empty() && rng.below(2) == 0) ASSERT_NO_FATAL_FAILURE(pair.pop());
    }
    pair.pop_all();
  }
}

// Phases of growing and shrinking, each with gaps of its own, reach every way an event can take: whole buckets of one
// instant, many events in front of those that wait there already, and a front that is full.
TEST(EventQueue, KeepsTheOrderWhileTheGapsChange) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Pair pair;
    for (int phase = 0; phase < 30; ++phase) {
      const uint64_t spread = uint64_t(1) << rng.below(40);
      const uint64_t step = 1 + rng.below(spread);  // times in steps coincide more often
      const uint64_t pushes = 1 + rng.below(3);
      const uint64_t pops = 1 + rng.below(3);
      for (uint64_t i = rng.below(700); i > 0; --i) {
        for (uint64_t k = 0; k < pushes; ++k) pair.push(pair.now + int64_t(rng.below(spread) / step * step));
        for (uint64_t k = 0; k < pops && !pair.expected.empty(); ++k) ASSERT_NO_FATAL_FAILURE(pair.pop());
      }
    }
    pair.pop_all();
  }
}

TEST(EventQueue, TakesAnyNumberOfEventsOfOneInstant) {
  Pair pair;
  for (int i = 0; i < 3000; ++i) pair.push(1'000'000);
  for (int i = 0; i < 1500; ++i) ASSERT_NO_FATAL_FAILURE(pair.pop());
  for (int i = 0; i < 3000; ++i) pair.push(1'000'000);  // posted at the instant itself, behind those that wait
  for (int i = 0; i < 3000; ++i) pair.push(1'000'001 + i % 7);
  pair.pop_all();
}

TEST(EventQueue, HoldsTheFirstAndTheLastInstantOfTime) {
  Pair pair;
  const int64_t last = std::numeric_limits<int64_t>::max();
  for (int i = 0; i < 100; ++i) {
    pair.push(last - i % 3);
    pair.push(0);
    pair.push(last / 2 + i % 5);
  }
  pair.pop_all();
  pair.push(last);
  pair.pop_all();
}

TEST(EventQueue, RefusesAnEventInThePast) {
  EventQueue queue;
  queue.push({{100}, nullptr, nullptr, 0});
  queue.advance();
  EXPECT_THROW(queue.push({{99}, nullptr, nullptr, 0}), InternalError);
}

TEST(EventQueue, RefusesToAdvanceWhenNothingIsPending) {
  EventQueue queue;
  EXPECT_THROW(queue.advance(), InternalError);
}

}  // namespace
}  // namespace moesim
