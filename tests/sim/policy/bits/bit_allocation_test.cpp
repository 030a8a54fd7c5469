#include "sim/policy/bits/bit_allocation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/support/random_network.h"

namespace moesim {
namespace {

double cost_of(const BitProblem& p, const std::vector<int32_t>& chosen) {
  double cost = 0;
  for (size_t expert = 0; expert < chosen.size(); ++expert)
    cost += p.cost[expert * p.widths.size() + size_t(chosen[expert])];
  return cost;
}

bool is_allowed(const BitProblem& p, const std::vector<int32_t>& chosen) {
  const int32_t largest = int32_t(p.widths.size()) - 1;
  int64_t bits = 0;
  for (const int32_t width : chosen) bits += p.widths[size_t(width)];
  return bits <= p.budget && std::find(chosen.begin(), chosen.end(), largest) != chosen.end() &&
         std::find(chosen.begin(), chosen.end(), largest - 1) != chosen.end();
}

// Every way to give each expert a width.
double least_of_all(const BitProblem& p) {
  std::vector<int32_t> chosen(p.experts(), 0);
  double least = kNoEnd;
  while (true) {
    if (is_allowed(p, chosen)) least = std::min(least, cost_of(p, chosen));
    size_t expert = 0;
    while (expert < chosen.size() && chosen[expert] + 1 == int32_t(p.widths.size())) chosen[expert++] = 0;
    if (expert == chosen.size()) return least;
    ++chosen[expert];
  }
}

BitProblem random_problem(Rng& rng) {
  const std::vector<std::vector<int32_t>> widths = {{1, 2, 3}, {2, 3, 4}, {2, 4}, {1, 2, 4, 8}};
  BitProblem p{widths[rng.below(widths.size())], {}, 0};
  const int64_t experts = rng.between(2, 6);
  const int64_t least = least_budget(p.widths, experts);
  p.budget = int32_t(rng.between(least, experts * p.widths.back() + 2));
  const bool tied = rng.below(2) == 0;
  for (int64_t i = 0; i < experts * int64_t(p.widths.size()); ++i)
    p.cost.push_back(tied ? double(rng.below(4)) : rng.log_normal(0, 2));
  return p;
}

TEST(WidthsByTable, CostNoMoreThanAnyOthersThatAreAllowed) {
  for_each_seed(300, [](Rng& rng) {
    const BitProblem p = random_problem(rng);
    const std::vector<int32_t> chosen = widths_by_table(p);
    EXPECT_TRUE(is_allowed(p, chosen));
    EXPECT_NEAR(cost_of(p, chosen), least_of_all(p), 1e-12 * cost_of(p, chosen));
  });
}

// Costs that do not matter: one expert of each width that must occur, and the least for the others.
TEST(WidthsByTable, HaveTheFewestBitsOfEquals) {
  const BitProblem p{{1, 2, 3}, std::vector<double>(12, 0), 12};
  const std::vector<int32_t> chosen = widths_by_table(p);
  EXPECT_EQ(std::accumulate(chosen.begin(), chosen.end(), 0), 0 + 0 + 1 + 2);
}

TEST(WidthsByTable, AreNotAskedForWhereThereAreNone) {
  EXPECT_EQ(least_budget({1, 2, 3}, 8), 11);  // 3 + 2 + 6 x 1
  EXPECT_THROW(widths_by_table({{1, 2, 3}, std::vector<double>(24, 1), 10}), InternalError);
}

// As many experts as a layer of DeepSeek-V3 has: a sum is right although no enumeration could check it, since costs
// that halve with each bit make it best to raise the dearest expert next.
TEST(WidthsByTable, AreThoseOfAGreedyRaiseWhereEachBitHelpsLess) {
  Rng rng(1);
  BitProblem p{{1, 2, 3}, {}, 500};
  for (int expert = 0; expert < 256; ++expert) {
    const double error = rng.log_normal(0, 1);
    p.cost.insert(p.cost.end(), {error, error / 2, error / 4});
  }
  std::vector<int32_t> raised(256, 0);
  for (int bit = 256; bit < 500; ++bit) {
    size_t best = 0;
    const auto gain = [&](size_t e) {
      return raised[e] == 2 ? 0 : p.cost[e * 3 + size_t(raised[e])] - p.cost[e * 3 + size_t(raised[e]) + 1];
    };
    for (size_t e = 0; e < 256; ++e)
      if (gain(e) > gain(best)) best = e;
    ++raised[best];
  }
  EXPECT_EQ(widths_by_table(p), raised);
}

#ifdef MOESIM_HAS_GLPK
TEST(WidthsByProgram, CostAsMuchAsThoseByTable) {
  IlpOptions options;
  options.gap = Percentage{0};
  for_each_seed(100, [&](Rng& rng) {
    const BitProblem p = random_problem(rng);
    const std::optional<std::vector<int32_t>> chosen = widths_by_program(p, options);
    ASSERT_TRUE(chosen.has_value());
    EXPECT_TRUE(is_allowed(p, *chosen));
    EXPECT_NEAR(cost_of(p, *chosen), cost_of(p, widths_by_table(p)), 1e-6 * cost_of(p, *chosen));
  });
}
#endif

}  // namespace
}  // namespace moesim
