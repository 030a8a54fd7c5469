#include "sim/moe/shuffle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "sim/policy/shuffle/balanced_assignment.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

std::vector<float> random_scores(size_t items, int32_t ranks, Rng& rng) {
  std::vector<float> score;
  for (size_t entry = 0; entry < items * size_t(ranks); ++entry) score.push_back(float(rng.below(100)) / 8);
  return score;
}

double total(const BalancedProblem& problem, const std::vector<int32_t>& rank) {
  double sum = 0;
  for (size_t item = 0; item < rank.size(); ++item)
    sum += double(problem.score[item * size_t(problem.ranks) + size_t(rank[item])]);
  return sum;
}

int64_t fullest(const BalancedProblem& problem, const std::vector<int32_t>& rank) {
  std::vector<int64_t> load(size_t(problem.ranks), 0);
  for (size_t item = 0; item < rank.size(); ++item) load[size_t(rank[item])] += problem.weight[item];
  return *std::max_element(load.begin(), load.end());
}

// Of all assignments within the capacity.
double best_total(const BalancedProblem& problem, std::vector<int32_t>& rank) {
  if (!rank.empty() && fullest({problem.ranks, problem.score, problem.weight.first(rank.size()), problem.limit}, rank) >
                           capacity_of(problem))
    return -1;
  if (rank.size() == problem.weight.size()) return total(problem, rank);
  double best = -1;
  for (int32_t to = 0; to < problem.ranks; ++to) {
    rank.push_back(to);
    best = std::max(best, best_total(problem, rank));
    rank.pop_back();
  }
  return best;
}

TEST(AssignAlike, FindsTheHighestScoreWithinTheCapacity) {
  for_each_seed(100, [](Rng& rng) {
    const int32_t ranks = int32_t(rng.between(2, 4));
    const size_t items = size_t(rng.between(1, 7));
    const std::vector<float> score = random_scores(items, ranks, rng);
    const std::vector<int64_t> weight(items, rng.between(1, 3));
    const BalancedProblem problem{ranks, score, weight, 1 + 0.1 * double(rng.below(8))};
    const std::vector<int32_t> rank = assign_alike(problem);
    EXPECT_LE(fullest(problem, rank), capacity_of(problem));
    std::vector<int32_t> none;
    EXPECT_NEAR(total(problem, rank), best_total(problem, none), 1e-4);
  });
}

TEST(AssignAlike, KeepsLargeProblemsWithinTheBalance) {
  Rng rng(4);
  const std::vector<float> score = [&] {
    std::vector<float> all = random_scores(4000, 8, rng);
    for (size_t item = 0; item < 3000; ++item) all[item * 8 + 2] += 20;  // most would go to one
    return all;
  }();
  const std::vector<int64_t> weight(4000, 1);
  const BalancedProblem problem{8, score, weight, 1.1};
  EXPECT_LE(fullest(problem, assign_alike(problem)), 550);
}

// Many items of a few kinds, whose scores are sums of thirds: equal in value, not in their last bits.
TEST(AssignAlike, TakesManyEqualItems) {
  for_each_seed(20, [](Rng& rng) {
    std::vector<float> kinds;
    for (size_t entry = 0; entry < 40; ++entry)
      kinds.push_back(float(rng.below(7)) / 3.0F + 0.1F * float(rng.below(5)));
    std::vector<float> score;
    for (size_t item = 0; item < 1000; ++item) {
      const size_t kind = size_t(rng.below(5));
      score.insert(score.end(), kinds.begin() + int64_t(kind * 8), kinds.begin() + int64_t(kind * 8 + 8));
    }
    const std::vector<int64_t> weight(1000, 1);
    const BalancedProblem problem{8, score, weight, 1};
    EXPECT_EQ(fullest(problem, assign_alike(problem)), 125);
  });
}

TEST(AssignWeighted, StaysWithinTheCapacityWhereOneItemMoreFits) {
  for_each_seed(50, [](Rng& rng) {
    const int32_t ranks = int32_t(rng.between(2, 6));
    const size_t items = size_t(rng.between(20, 60));
    const std::vector<float> score = random_scores(items, ranks, rng);
    std::vector<int64_t> weight;
    for (size_t item = 0; item < items; ++item) weight.push_back(rng.between(1, 20));
    const BalancedProblem problem{ranks, score, weight, 1.1};
    EXPECT_LE(fullest(problem, assign_weighted(problem)), capacity_of(problem) + 20);
  });
}

TEST(EveryShuffle, GivesEachItemARank) {
  for (const auto& entry : Registry<ShufflePolicy>::instance().entries())
    for_each_seed(20, [&](Rng& rng) {
      SCOPED_TRACE(entry.name);
      const size_t items = size_t(rng.between(0, 40));
      const std::vector<float> score = random_scores(items, 4, rng);
      const std::vector<int64_t> weight(items, 16);
      std::vector<int32_t> home;
      for (size_t item = 0; item < items; ++item) home.push_back(int32_t(item * 4 / items));
      const std::vector<int32_t> rank = entry.decide({4, weight, home, score}, entry.default_options(), rng);
      ASSERT_EQ(rank.size(), items);
      for (const int32_t of_item : rank) EXPECT_TRUE(of_item >= 0 && of_item < 4);
      EXPECT_EQ(entry.traits.unit.has_value(), entry.name != "none");
    });
}

// Two requests prefer rank 0. The first gets it; in the same round rank 1 is left for the second.
TEST(RoundsShuffle, GivesEachRankOneRequestARound) {
  const std::vector<float> score{5, 1, 4, 1, 5, 1, 0, 3};
  const std::vector<int64_t> weight(4, 10);
  const std::vector<int32_t> home{0, 0, 1, 1};
  Rng rng(1);
  EXPECT_EQ(PolicyChoice<ShufflePolicy>("rounds").decide({2, weight, home, score}, rng),
            (std::vector<int32_t>{0, 1, 0, 1}));
}

}  // namespace
}  // namespace moesim
