#include "sim/net/neighbour_counts.h"

#include <gtest/gtest.h>

#include <map>

#include "sim/core/check.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

void expect_counts(const NeighbourCounts& counts, int32_t link, const std::map<int32_t, int32_t>& expected) {
  std::map<int32_t, int32_t> found;
  for (const NeighbourCounts::Neighbour& neighbour : counts.of(link)) {
    ASSERT_EQ(found.count(neighbour.link), 0u);  // no neighbour stands there twice
    found[neighbour.link] = neighbour.flows;
  }
  ASSERT_EQ(found, expected);
}

// Rows that grow far beyond what is searched from end to end, and shrink again; ids of every kind.
TEST(NeighbourCounts, CountsAsAMapDoes) {
  for_each_seed(100, [](Rng& rng) {
    const int32_t stride = rng.uniform() < 0.5 ? 1 : int32_t(rng.between(2, 1000));
    const int64_t neighbours = rng.between(1, 200);
    NeighbourCounts counts(2);
    std::map<int32_t, int32_t> expected[2];
    for (int step = 0; step < 3000; ++step) {
      const auto link = int32_t(rng.between(0, 1));
      const int32_t neighbour = stride * int32_t(rng.between(0, neighbours));
      const bool grows = (step / 500) % 2 == 0;
      if (rng.uniform() < (grows ? 0.8 : 0.2)) {
        counts.add(link, neighbour);
        ++expected[link][neighbour];
      } else if (expected[link].count(neighbour) > 0) {
        counts.remove(link, neighbour);
        if (--expected[link][neighbour] == 0) expected[link].erase(neighbour);
      }
      if (step % 50 == 0) expect_counts(counts, link, expected[link]);
    }
    for (int32_t link = 0; link < 2; ++link) expect_counts(counts, link, expected[link]);
    counts.clear(0);
    expect_counts(counts, 0, {});
    counts.add(0, 7);
    expect_counts(counts, 0, {{7, 1}});
    expect_counts(counts, 1, expected[1]);
  });
}

TEST(NeighbourCounts, RefusesToRemoveWhatWasNotAdded) {
  NeighbourCounts counts(1);
  counts.add(0, 3);
  EXPECT_THROW(counts.remove(0, 4), InternalError);
}

}  // namespace
}  // namespace moesim
