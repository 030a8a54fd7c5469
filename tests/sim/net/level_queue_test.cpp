#include "sim/net/level_queue.h"

#include <gtest/gtest.h>

#include "tests/support/random_network.h"

namespace moesim {
namespace {

TEST(LevelQueue, BucketsRiseWithTheLevelAndAreNarrow) {
  uint32_t before = 0;
  for (int64_t level = 0; level < int64_t{1} << 61; level += level / 100'000 + 1) {
    const uint32_t bucket = LevelQueue::bucket_of(level);
    ASSERT_GE(bucket, before) << level;
    ASSERT_GT(LevelQueue::bucket_of(level + level / 1000 + 1), bucket) << level;  // narrower than a thousandth
    before = bucket;
  }
  EXPECT_EQ(LevelQueue::bucket_of(-5), 0u);
}

TEST(LevelQueue, PopsByRisingBucketAndWithinOneInTheOrderOfPushing) {
  for_each_seed(200, [](Rng& rng) {
    const auto links = size_t(rng.between(1, 300));
    LevelQueue queue(links);
    std::vector<std::pair<uint32_t, int32_t>> waiting;  // in the order of pushing
    for (int32_t link = 0; link < int32_t(links); ++link) {
      const auto level = int64_t(exact_pow(2, 60 * rng.uniform()));
      waiting.push_back({LevelQueue::bucket_of(rng.uniform() < 0.5 ? level : rng.between(0, 3)), link});
      queue.push(link, waiting.back().first);
      if (rng.uniform() > 0.3) continue;
      const auto first = std::min_element(waiting.begin(), waiting.end(),
                                          [](const auto& a, const auto& b) { return a.first < b.first; });
      ASSERT_EQ(queue.lowest_bucket(), first->first);
      ASSERT_EQ(queue.pop(first->first), first->second);
      waiting.erase(first);
    }
    std::stable_sort(waiting.begin(), waiting.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [bucket, link] : waiting) {
      ASSERT_FALSE(queue.empty());
      ASSERT_EQ(queue.lowest_bucket(), bucket);
      ASSERT_EQ(queue.pop(bucket), link);
    }
    EXPECT_TRUE(queue.empty());
  });
}

}  // namespace
}  // namespace moesim
