#include "traces/score_fill.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace moesim {
namespace {

std::vector<ScoredExpert> completed(bool has_scores, std::vector<ScoredExpert> sorted, uint64_t seed) {
  ScoreFill fill({std::vector<int64_t>(16, 10)}, 16);
  Rng rng(seed);
  fill.complete(0, has_scores, sorted, rng);
  return sorted;
}

TEST(ScoreFill, GivesEveryExpertAScoreBelowTheRecordedOnes) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<ScoredExpert> all = completed(true, {{0.5F, 3}, {0.2F, 9}}, seed);
    std::set<uint16_t> experts;
    double sum = 0;
    for (const ScoredExpert& scored : all) {
      experts.insert(scored.expert);
      sum += double(scored.score);
    }
    EXPECT_EQ(experts.size(), 16u);
    EXPECT_EQ(all[0].expert, 3);
    EXPECT_EQ(all[1].expert, 9);
    EXPECT_NEAR(sum, 1, 1e-6);  // 0.3 is left, and shared without reaching 0.2
    EXPECT_TRUE(std::is_sorted(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.score > b.score; }));
  }
}

TEST(ScoreFill, KeepsTheRecordedOrderWhereNoScoreWasRecorded) {
  const std::vector<ScoredExpert> all = completed(false, {{0, 7}, {0, 2}, {0, 5}}, 1);
  EXPECT_EQ(all[0].expert, 7);
  EXPECT_EQ(all[2].expert, 5);
  EXPECT_GT(all[0].score, all[1].score);
  EXPECT_GT(all[2].score, all[3].score);
}

TEST(ScoreFill, PutsPopularExpertsFirstMoreOften) {
  ScoreFill fill({{0, 0, 0, 1000}}, 4);
  int popular = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::vector<ScoredExpert> sorted = {{0, 0}};
    Rng rng(seed);
    fill.complete(0, false, sorted, rng);
    popular += sorted[1].expert == 3 ? 1 : 0;
  }
  EXPECT_GT(popular, 190);  // 1001 of 1003
}

}  // namespace
}  // namespace moesim
