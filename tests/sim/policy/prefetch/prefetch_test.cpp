#include "sim/moe/offload/prefetch.h"

#include <gtest/gtest.h>

#include "tests/support/prefetch_case.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

PolicyChoice<PrefetchPolicy> named(const std::string& name) { return PolicyChoice<PrefetchPolicy>(name); }

// All decisions of a step.
std::vector<std::vector<ExpertItem>> step(PrefetchCase& c, const std::string& name, PrefetchState& state) {
  std::vector<std::vector<ExpertItem>> decisions;
  for (int32_t layer = -1; layer < c.layers; ++layer) decisions.push_back(c.decide(named(name), state, layer));
  return decisions;
}

TEST(EveryPrefetch, WantsAbsentExpertsOfLaterLayersOnceAndNoMoreThanFit) {
  for (const auto& entry : Registry<PrefetchPolicy>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    for_each_seed(100, [&](Rng& rng) {
      PrefetchCase c = random_prefetch_case(rng);
      PrefetchState state;
      for (int32_t round = 0; round < 2; ++round) {
        int32_t layer = -1;
        for (const std::vector<ExpertItem>& wanted : step(c, entry.name, state)) {
          std::set<ExpertItem> once;
          std::vector<int64_t> of_layer(size_t(c.layers), 0);
          for (const ExpertItem item : wanted) {
            ASSERT_GT(item / c.experts, layer);
            ASSERT_LT(item, c.layers * c.experts);
            EXPECT_EQ(c.present[size_t(item)], 0);
            EXPECT_TRUE(once.insert(item).second);
            EXPECT_LE(++of_layer[size_t(item / c.experts)], c.places[size_t(item / c.experts)]);
          }
          ++layer;
        }
      }
    });
  }
}

TEST(EveryPrefetch, DecidesTheSameAgainAndFromACopyOfItsState) {
  for (const auto& entry : Registry<PrefetchPolicy>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    for_each_seed(20, [&](Rng& rng) {
      PrefetchCase c = random_prefetch_case(rng);
      PrefetchState state;
      PrefetchState again;
      EXPECT_EQ(step(c, entry.name, state), step(c, entry.name, again));
      PrefetchState copy = state;
      EXPECT_EQ(step(c, entry.name, state), step(c, entry.name, copy));
    });
  }
}

TEST(EveryPrefetch, TakesAPastWithoutTokens) {
  for (const auto& entry : Registry<PrefetchPolicy>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    Rng rng(2);
    PrefetchCase c = random_prefetch_case(rng);
    c.past_ids.clear();
    c.past_request.clear();
    PrefetchState state;
    EXPECT_EQ(step(c, entry.name, state).size(), size_t(c.layers) + 1);
  }
}

TEST(NonePrefetch, WantsNothing) {
  Rng rng(1);
  PrefetchCase c = random_prefetch_case(rng);
  PrefetchState state;
  EXPECT_TRUE(c.decide(named("none"), state, -1).empty());
}

// Of layer 1, experts 5, 2, 7, 0 are expected in this order; 2 is there. One token chooses two: 5 is wanted. The window
// holds three copies, so that the next ranks follow: 7 and 0.
struct FourExpected : testing::Test {
  FourExpected() {
    c.fill();
    c.forecasts[1] = {0.1F, 0, 0.8F, 0, 0, 0.9F, 0, 0.2F};
    c.forecasts[2] = {0, 0.6F, 0, 0.7F, 0.5F, 0, 0, 0};
    c.present[8 + 2] = 1;
  }
  std::vector<ExpertItem> decide(const std::string& name, int32_t layer = 0) {
    return c.decide(named(name), state, layer);
  }
  PrefetchCase c;
  PrefetchState state;
};

TEST_F(FourExpected, NextGateWantsWhatTokensMayChooseAndThenWhatFitsTheWindow) {
  EXPECT_EQ(decide("next_gate"), (std::vector<ExpertItem>{8 + 5, 8 + 7, 8 + 0}));
  c.window = 29_us;  // two copies
  EXPECT_EQ(decide("next_gate"), (std::vector<ExpertItem>{8 + 5, 8 + 7}));
  c.window = 1_us;
  EXPECT_EQ(decide("next_gate"), (std::vector<ExpertItem>{8 + 5}));
  EXPECT_EQ(c.asked, (std::set<int32_t>{1}));
}

TEST_F(FourExpected, WindowWantsWhatFits) {
  EXPECT_EQ(decide("window"), (std::vector<ExpertItem>{8 + 5, 8 + 7, 8 + 0}));
  c.window = 19_us;
  EXPECT_EQ(decide("window"), (std::vector<ExpertItem>{8 + 5}));
  c.window = 9_us;
  EXPECT_TRUE(decide("window").empty());
}

TEST_F(FourExpected, WholeLayerWantsAllThatAreAbsentAndAsksForNoForecast) {
  EXPECT_EQ(decide("whole_layer"), (std::vector<ExpertItem>{8, 9, 11, 12, 13, 14, 15}));
  c.places[1] = 4;
  EXPECT_EQ(decide("whole_layer"), (std::vector<ExpertItem>{8, 9, 11}));
  EXPECT_TRUE(c.asked.empty());
}

// Before the step layers 0 and 1 are predicted; once layer 0 is routed, layer 2 alone, and what layer 1 lacks goes
// first.
TEST_F(FourExpected, StridePredictsEachLayerOnceAndKeepsWhatIsNotThere) {
  EXPECT_EQ(decide("stride", -1), (std::vector<ExpertItem>{8 + 5}));
  EXPECT_EQ(c.asked, (std::set<int32_t>{0, 1}));
  c.asked.clear();
  EXPECT_EQ(decide("stride", 0), (std::vector<ExpertItem>{8 + 5, 16 + 3, 16 + 1}));
  EXPECT_EQ(c.asked, (std::set<int32_t>{2}));
  c.present[16 + 3] = 1;
  EXPECT_EQ(decide("stride", 1), (std::vector<ExpertItem>{16 + 1}));
}

// Over all layers: 5 (0.9) and 7, 0 (0.2, 0.1) of layer 1, and 3, 1, 4 (0.7, 0.6, 0.5) of layer 2.
TEST_F(FourExpected, ExpectedRanksAllLayersOnceBeforeTheStep) {
  EXPECT_EQ(decide("expected", -1), (std::vector<ExpertItem>{8 + 5, 16 + 3, 16 + 1, 16 + 4, 8 + 7, 8 + 0}));
  c.asked.clear();
  EXPECT_EQ(decide("expected", 1), (std::vector<ExpertItem>{16 + 3, 16 + 1, 16 + 4}));
  EXPECT_TRUE(c.asked.empty());
}

// Expected for sure is expected for sure: of two layers the nearer comes first, though the farther has more tokens.
// With demands of three and two experts and four places, this is ExpertFlow's 3 : 1.
TEST(ExpectedPrefetch, PutsTheNearerLayerFirstWhereBothAreSure) {
  PrefetchCase c;
  c.layers = 2;
  c.experts = 4;
  c.fill();
  c.forecasts = {{1, 1, 1, 0}, {0, 0, 4, 3}};
  PrefetchState state;
  const std::vector<ExpertItem> wanted = c.decide(named("expected"), state, -1);
  EXPECT_EQ(wanted, (std::vector<ExpertItem>{0, 1, 2, 4 + 2, 4 + 3}));
}

// Layer 1 takes 100 us; with expert 5 it takes 10 us less, with 7 nothing less, with both 30. Layer 2 gains 20 from 1.
// First comes 16 + 1 (20), then 5 (10), then 7, which gains another 20 now that 5 is taken. Two fit a window of 20 us.
TEST(ImpactPrefetch, TakesTheLargestGainAndTriesTheOthersAnew) {
  PrefetchCase c;
  c.fill();
  c.forecasts[1] = {0, 0, 0, 0, 0, 0.9F, 0, 0.8F};
  c.forecasts[2] = {0, 0.6F, 0, 0.5F, 0, 0, 0, 0};
  c.layer_time = [](int32_t layer, std::span<const ExpertItem> besides) {
    const auto has = [&](ExpertItem item) { return std::find(besides.begin(), besides.end(), item) != besides.end(); };
    if (layer == 2) return has(16 + 1) ? 80_us : 100_us;
    if (!has(8 + 5)) return 100_us;
    return has(8 + 7) ? 70_us : 90_us;
  };
  PrefetchState state;
  EXPECT_EQ(c.decide(named("impact"), state, 0), (std::vector<ExpertItem>{16 + 1, 8 + 5, 8 + 7}));
  c.window = 20_us;
  EXPECT_EQ(c.decide(named("impact"), state, 0), (std::vector<ExpertItem>{16 + 1, 8 + 5}));
}

// Top-1 tokens go 1, 2, then 6 three times and 7 once, or 1, 3, then 4 twice. After 1 and 2 come 6 and 7, in this
// order.
TEST(TwoLayersPrefetch, PreloadsWhatFollowedThePairMostOften) {
  PrefetchCase c;
  c.layers = 3;
  c.top_k = 1;
  c.fill();
  for (const uint16_t last : std::vector<uint16_t>{6, 7, 6, 6}) c.past_ids.insert(c.past_ids.end(), {1, 2, last});
  for (int32_t twice = 0; twice < 2; ++twice) c.past_ids.insert(c.past_ids.end(), {1, 3, 4});
  c.chosen = {{1}, {2}, {6}};
  PrefetchState state;
  EXPECT_EQ(c.decide(named("two_layers"), state, -1), (std::vector<ExpertItem>{1}));
  EXPECT_EQ(c.decide(named("two_layers"), state, 0), (std::vector<ExpertItem>{8 + 2, 8 + 3}));
  EXPECT_EQ(c.decide(named("two_layers"), state, 1), (std::vector<ExpertItem>{16 + 6, 16 + 7}));
  c.chosen = {{1}, {3}, {4}};
  EXPECT_EQ(c.decide(named("two_layers"), state, 1), (std::vector<ExpertItem>{16 + 4}));
  c.chosen = {{5}, {3}, {4}};
  EXPECT_TRUE(c.decide(named("two_layers"), state, 1).empty());
  EXPECT_TRUE(c.asked.empty());
}

// Two past requests: A chooses expert 0 in layer 0, then 1 in layers 1 and 2; B chooses 4, then 5 three times and 6
// once in layer 1, and 7 in layer 2.
struct TwoRequests : testing::Test {
  TwoRequests() {
    c.layers = 3;
    c.top_k = 1;
    c.fill();
    for (int32_t token = 0; token < 4; ++token) c.past_ids.insert(c.past_ids.end(), {0, 1, 1});
    for (const uint16_t second : std::vector<uint16_t>{5, 5, 6, 5}) c.past_ids.insert(c.past_ids.end(), {4, second, 7});
    c.past_request = {8, 8, 8, 8, 3, 3, 3, 3};
    c.chosen = {{4}, {5}, {7}};
  }
  PrefetchCase c;
  PrefetchState state;
};

// Layer 0 with expert 4 is B's. Parts times 1 - distance / 4: layer 1 0.75 x 0.75 = 0.5625 and 0.25 x 0.75 = 0.1875;
// layer 2 1 x 0.5.
TEST_F(TwoRequests, TheMostSimilarOneTellsWhatComesNearerLayersMore) {
  c.decide(named("activation_matrix"), state, -1);
  EXPECT_EQ(c.decide(named("activation_matrix"), state, 0), (std::vector<ExpertItem>{8 + 5, 16 + 7, 8 + 6}));
  EXPECT_TRUE(c.asked.empty());
}

// Nothing seen yet: the mean of both, so that layer 0 has half of A's and of B's expert, 0.5 x 0.75; layer 1 0.5 x 0.5
// of A's, 0.375 x 0.5 and 0.125 x 0.5 of B's; layer 2 0.5 x 0.25 each.
TEST_F(TwoRequests, TheirMeanTellsBeforeAnythingWasSeen) {
  EXPECT_EQ(c.decide(named("activation_matrix"), state, -1),
            (std::vector<ExpertItem>{0, 4, 8 + 1, 8 + 5, 16 + 1, 16 + 7, 8 + 6}));
}

// The match in layer 0 is exact: score 1, threshold 0, and one expert for each choice: 5 of layer 1, then 7 of layer 2
// at half its part, 0.75 > 0.5. After 5 in layer 1, where B is (0.75, 0.25), the score is (1 + 0.75) / sqrt(2 x (1 +
// 0.625)) = 0.97, and 7 alone is wanted.
TEST_F(TwoRequests, AScoreOfOneWantsNoMoreThanTokensChoose) {
  c.decide(named("score_threshold"), state, -1);
  EXPECT_EQ(c.decide(named("score_threshold"), state, 0), (std::vector<ExpertItem>{8 + 5, 16 + 7}));
  EXPECT_EQ(c.decide(named("score_threshold"), state, 1), (std::vector<ExpertItem>{16 + 7}));
}

// Without any match the score is 0, and experts follow until their parts sum to 1.
TEST_F(TwoRequests, AScoreOfZeroWantsAllThatWereEverChosen) {
  EXPECT_EQ(c.decide(named("score_threshold"), state, -1).size(), 2u + 3u + 2u);
}

}  // namespace
}  // namespace moesim
