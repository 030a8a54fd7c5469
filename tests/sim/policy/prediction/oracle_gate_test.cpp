#include <gtest/gtest.h>

#include "sim/moe/prediction_recall.h"
#include "tests/support/prediction_case.h"

namespace moesim {
namespace {

ExpertPredictor gate(const PredictionCase& c, double noise, double growth) {
  ExpertPredictor predictor = learnt(PolicyChoice<PredictionPolicy>("oracle_gate"), c);
  predictor.gate_noise = noise;
  predictor.gate_noise_growth = growth;
  return predictor;
}

PredictionRecall recall(const ExpertPredictor& predictor, const PredictionCase& c, int32_t distance) {
  PredictionRecall sums;
  sums.among = {c.top_k, 2 * c.top_k};
  add_recall(predictor, c.tokens, c.step, distance, sums);
  return sums;
}

TEST(OracleGate, KnowsAllChoicesWithoutNoiseOnceALayerIsRouted) {
  Rng rng(1);
  const PredictionCase c = random_prediction_case(rng);
  for (const int32_t distance : {1, 2, 3}) {
    const PredictionRecall sums = recall(gate(c, 0, 2), c, distance);
    for (int32_t layer = distance; layer < c.layers; ++layer) EXPECT_EQ(recall_of_layer(sums, layer, 0), 1);
  }
}

TEST(OracleGate, SaysWhatTablesSayBeforeAnyLayerIsRouted) {
  Rng rng(2);
  const PredictionCase c = random_prediction_case(rng);
  const ExpertPredictor transition = learnt(PolicyChoice<PredictionPolicy>("transition"), c);
  EXPECT_EQ(recall_of_layer(recall(gate(c, 0, 1), c, 1), 0, 0), recall_of_layer(recall(transition, c, 1), 0, 0));
}

TEST(OracleGate, IsRightLessOftenWithMoreNoiseAndAtMoreDistanceDownToWhatTablesSay) {
  Rng rng(3);
  const PredictionCase c = random_prediction_case(rng);
  double before = 2;
  for (const double noise : {0.05, 0.3, 0.6, 1.5}) {
    const double now = recall_of_all(recall(gate(c, noise, 1), c, 1), 0);
    EXPECT_LT(now, before);
    before = now;
  }
  EXPECT_LT(recall_of_layer(recall(gate(c, 0.3, 2), c, 3), 3, 0), recall_of_layer(recall(gate(c, 0.3, 2), c, 1), 3, 0));
  const ExpertPredictor transition = learnt(PolicyChoice<PredictionPolicy>("transition"), c);
  EXPECT_NEAR(recall_of_all(recall(gate(c, 1e6, 1), c, 1), 0), recall_of_all(recall(transition, c, 1), 0), 0.03);
}

// As over-prefetching needs it: what the likeliest k missed is among the next k.
TEST(OracleGate, RanksNextWhatItMissed) {
  Rng rng(4);
  const PredictionCase c = random_prediction_case(rng);
  for (const double noise : {0.3, 0.5, 0.8}) {
    const PredictionRecall sums = recall(gate(c, noise, 1), c, 1);
    EXPECT_LT(recall_of_all(sums, 0), recall_of_all(sums, 1));
  }
}

TEST(OracleGate, HearsOtherNoiseWhereTheTokenChoosesOtherwise) {
  Rng rng(5);
  PredictionCase c = random_prediction_case(rng);
  const ExpertPredictor predictor = gate(c, 0.5, 1);
  std::vector<float> before(size_t(c.experts));
  std::vector<float> after(size_t(c.experts));
  predict_experts(predictor, c.tokens, c.step, 7, 3, 3, before);
  predict_experts(predictor, c.tokens, c.step, 7, 3, 3, after);
  EXPECT_EQ(before, after);
  std::swap(c.step.ids[size_t((3 * c.step.tokens + 7) * c.top_k)],
            c.step.ids[size_t((3 * c.step.tokens + 7) * c.top_k + 1)]);
  predict_experts(predictor, c.tokens, c.step, 7, 3, 3, after);
  EXPECT_NE(before, after);
}

// 6 of 64 experts, all alike: what the options' comment and the documentation say.
TEST(OracleGate, FindsThreeOfFourChoicesAmongTheFirstAndNearlyAllAmongTwiceAsMany) {
  PredictionCase c;
  c.layers = 2;
  c.experts = 64;
  c.top_k = 6;
  c.placement.hosts.assign(2, std::vector<std::vector<GpuId>>(64, {GpuId(0)}));
  c.step = {.tokens = 2000, .layers = 2, .experts = 64, .top_k = 6, .ids = {}, .first_token = {0, 2000}};
  Rng rng(6);
  std::vector<uint16_t> all(64);
  std::iota(all.begin(), all.end(), uint16_t{0});
  for (int32_t row = 0; row < 2 * 2000; ++row) {
    rng.shuffle(std::span(all));
    c.step.ids.insert(c.step.ids.end(), all.begin(), all.begin() + 6);
  }
  const PredictionRecall sums = recall(learnt(PolicyChoice<PredictionPolicy>("oracle_gate"), c), c, 1);
  EXPECT_NEAR(recall_of_layer(sums, 1, 0), 0.78, 0.02);
  EXPECT_NEAR(recall_of_layer(sums, 1, 1), 0.99, 0.01);
}

}  // namespace
}  // namespace moesim
