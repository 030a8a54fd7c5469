#include "traces/drifting.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace moesim {
namespace {

constexpr RoutingShape kShape{3, 64, 8};
constexpr int32_t kRanks = 8;
constexpr int64_t kTokens = 2000;

DriftingRouter router(Popularity popularity, SyntheticRouting options = {}, RoutingShape shape = kShape) {
  options.popularity = popularity;
  return DriftingRouter(options, shape, int32_t(shape.experts), kRanks, 7);
}

// [layer][expert] choices of a step.
std::vector<std::vector<int64_t>> loads(const DriftingRouter& router, int64_t step, RoutingShape shape = kShape) {
  std::vector<std::vector<int64_t>> loads(size_t(shape.layers), std::vector<int64_t>(size_t(shape.experts), 0));
  std::vector<uint16_t> row(size_t(shape.layers * shape.top_k));
  for (int64_t token = 0; token < kTokens; ++token) {
    router.route(step, token, row);
    for (size_t at = 0; at < row.size(); ++at) ++loads[at / size_t(shape.top_k)][row[at]];
  }
  return loads;
}

double share(const std::vector<int64_t>& load, const std::vector<uint16_t>& experts) {
  double part = 0;
  double sum = 0;
  for (const uint16_t expert : experts) part += double(load[expert]);
  for (const int64_t tokens : load) sum += double(tokens);
  return part / sum;
}

// Six deviations of a sum of as many draws as there are tokens, of which a part hits: nothing that the seed decides.
double noise(double part) { return 6 * std::sqrt(part * (1 - part) / double(kTokens)); }

TEST(EveryDriftingWorkload, ChoosesDifferentExpertsAndDependsOnItsNumbersAlone) {
  for (const Popularity popularity : {Popularity::balanced, Popularity::hot_set, Popularity::hot_rank,
                                      Popularity::ragged, Popularity::rotating, Popularity::burst})
    for (const RoutingShape shape : {kShape, RoutingShape{2, 8, 2}, RoutingShape{1, 8, 8}, RoutingShape{1, 12, 6}}) {
      const DriftingRouter one = router(popularity, {}, shape);
      const DriftingRouter same = router(popularity, {}, shape);
      std::vector<uint16_t> row(size_t(shape.layers * shape.top_k));
      std::vector<uint16_t> again(row.size());
      for (int64_t step : {-1, 0, 7, 100})
        for (int64_t token = 0; token < 50; ++token) {
          one.route(step, token, row);
          same.route(step, token, again);
          EXPECT_EQ(row, again);
          for (int64_t layer = 0; layer < shape.layers; ++layer) {
            const auto begin = row.begin() + layer * shape.top_k;
            const std::set<uint16_t> chosen(begin, begin + shape.top_k);
            EXPECT_EQ(int64_t(chosen.size()), shape.top_k);
            EXPECT_LT(*chosen.rbegin(), shape.experts);
          }
        }
    }
}

TEST(BalancedWorkload, LoadsEveryExpertAlikeButForNoise) {
  for (const std::vector<int64_t>& load : loads(router(Popularity::balanced), 3))
    for (const int64_t tokens : load) EXPECT_NEAR(double(tokens) / double(kTokens), 8.0 / 64, noise(8.0 / 64));
}

// One in eight experts of 64 is hot, each with four times the mean: 8 x 4 / 64 of all choices, 4 of each token's 8.
TEST(HotSetWorkload, GivesTheHotExpertsTheirShareExactly) {
  const DriftingRouter drifting = router(Popularity::hot_set);
  EXPECT_EQ(drifting.heat(8), 4);
  for (const int64_t step : {0, 50})
    for (int64_t layer = 0; layer < kShape.layers; ++layer) {
      const std::vector<uint16_t> hot = drifting.hot_experts(layer, step);
      ASSERT_EQ(hot.size(), 8u);
      const std::vector<int64_t> load = loads(drifting, step)[size_t(layer)];
      EXPECT_DOUBLE_EQ(share(load, hot), 0.5);
      for (const uint16_t expert : hot) EXPECT_NEAR(double(load[expert]) / double(kTokens), 0.5, noise(0.5));
    }
  EXPECT_NE(drifting.hot_experts(0, 0), drifting.hot_experts(1, 0));  // each layer has its own
}

// Of 8 experts with top-2 none can be chosen more than 4 times as often as the mean: then every token chooses it.
TEST(HotSetWorkload, IsNoHotterThanEveryTokenChoosingIt) {
  SyntheticRouting options;
  options.heat = 100;
  const RoutingShape shape{1, 8, 2};
  const DriftingRouter drifting = router(Popularity::hot_set, options, shape);
  const std::vector<uint16_t> hot = drifting.hot_experts(0, 0);
  ASSERT_EQ(hot.size(), 1u);
  EXPECT_EQ(loads(drifting, 0, shape)[0][hot[0]], kTokens);
}

// 64 experts over 8 ranks: the first eight, on rank 0, with the heat of a hot set.
TEST(HotRankWorkload, HeatsTheExpertsOfTheFirstRank) {
  const DriftingRouter drifting = router(Popularity::hot_rank);
  EXPECT_EQ(drifting.hot_experts(2, 0), (std::vector<uint16_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_DOUBLE_EQ(share(loads(drifting, 0)[2], drifting.hot_experts(2, 0)), 0.5);
}

// 3 of 8 hot experts are exchanged every 5 steps, and not between; after 64 / 3 turns the order has gone round.
TEST(RotatingWorkload, MovesTheHotSetBySoMuchEverySoManySteps) {
  SyntheticRouting options;
  options.period = 5;
  options.shift = 3;
  const DriftingRouter drifting = router(Popularity::rotating, options);
  for (int64_t step = 0; step < 100; ++step)
    for (int64_t layer = 0; layer < kShape.layers; ++layer) {
      const std::vector<uint16_t> now = drifting.hot_experts(layer, step);
      const std::vector<uint16_t> next = drifting.hot_experts(layer, step + 1);
      std::vector<uint16_t> stay;
      std::set_intersection(now.begin(), now.end(), next.begin(), next.end(), std::back_inserter(stay));
      EXPECT_EQ(stay.size(), (step + 1) % 5 == 0 ? 5u : 8u) << step;
    }
  EXPECT_EQ(drifting.hot_experts(0, -20), drifting.hot_experts(0, 0));
  EXPECT_DOUBLE_EQ(share(loads(drifting, 17)[1], drifting.hot_experts(1, 17)), 0.5);
}

TEST(RotatingWorkload, ExchangesTheWholeHotSetUnlessSaid) {
  const DriftingRouter drifting = router(Popularity::rotating);
  const std::vector<uint16_t> now = drifting.hot_experts(0, 7);
  std::vector<uint16_t> stay;
  const std::vector<uint16_t> next = drifting.hot_experts(0, 8);
  std::set_intersection(now.begin(), now.end(), next.begin(), next.end(), std::back_inserter(stay));
  EXPECT_TRUE(stay.empty());
}

// The last 2 of every 8 steps.
TEST(BurstWorkload, IsHotInTheStepsSaidAndBalancedInAllOthers) {
  const DriftingRouter drifting = router(Popularity::burst);
  for (int64_t step = 0; step < 24; ++step) EXPECT_EQ(drifting.hot_experts(0, step).empty(), step % 8 < 6) << step;
  EXPECT_EQ(drifting.hot_experts(0, 6), drifting.hot_experts(0, 15));
  EXPECT_DOUBLE_EQ(share(loads(drifting, 7)[0], drifting.hot_experts(0, 7)), 0.5);
  const std::vector<int64_t> calm = loads(drifting, 5)[0];
  for (const int64_t tokens : calm) EXPECT_NEAR(double(tokens) / double(kTokens), 8.0 / 64, noise(8.0 / 64));
}

// From all of them on the first GPU to a quarter on the last, evenly in between; experts are balanced.
TEST(RaggedWorkload, LeavesLaterGpusFewerTokens) {
  const DriftingRouter drifting = router(Popularity::ragged);
  EXPECT_EQ(drifting.live_tokens(100, 0, 4), 100);
  EXPECT_EQ(drifting.live_tokens(100, 1, 4), 75);
  EXPECT_EQ(drifting.live_tokens(100, 2, 4), 50);
  EXPECT_EQ(drifting.live_tokens(100, 3, 4), 25);
  EXPECT_TRUE(drifting.hot_experts(0, 0).empty());
  EXPECT_EQ(router(Popularity::balanced).live_tokens(100, 3, 4), 100);
}

}  // namespace
}  // namespace moesim
