#include "sim/moe/prediction.h"

#include <gtest/gtest.h>

#include "tests/support/prediction_case.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

// All predictions of a layer.
std::vector<float> predictions(const ExpertPredictor& predictor, const PredictionCase& c, int32_t layer,
                               int32_t known) {
  std::vector<float> all;
  std::vector<float> expected(size_t(c.experts));
  for (int64_t token = 0; token < c.step.tokens; ++token) {
    predict_experts(predictor, c.tokens, c.step, token, layer, known, expected);
    all.insert(all.end(), expected.begin(), expected.end());
  }
  return all;
}

// The future of a token are its choices from the predicted layer on, and whatever other tokens choose.
TEST(EveryPrediction, IsTheSameWhateverTheFutureHolds) {
  for (const auto& entry : Registry<PredictionPolicy>::instance().entries()) {
    if (entry.name.starts_with("oracle")) continue;
    SCOPED_TRACE(entry.name);
    for_each_seed(20, [&](Rng& rng) {
      PredictionCase c = random_prediction_case(rng);
      const ExpertPredictor predictor = learnt(PolicyChoice<PredictionPolicy>(entry.name.c_str()), c);
      const int32_t layer = int32_t(rng.below(uint64_t(c.layers)));
      const int32_t known = int32_t(rng.below(uint64_t(layer) + 1));
      const std::vector<float> before = predictions(predictor, c, layer, known);
      const size_t first = size_t(int64_t{known} * c.step.tokens * c.top_k);
      rng.shuffle(std::span(c.step.ids).subspan(first));
      EXPECT_EQ(predictions(predictor, c, layer, known), before);
    });
  }
}

TEST(EveryPrediction, ReadsNothingOfOtherTokens) {
  for (const auto& entry : Registry<PredictionPolicy>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    Rng rng(3);
    PredictionCase c = random_prediction_case(rng);
    const ExpertPredictor predictor = learnt(PolicyChoice<PredictionPolicy>(entry.name.c_str()), c);
    std::vector<float> before(size_t(c.experts));
    std::vector<float> after(size_t(c.experts));
    predict_experts(predictor, c.tokens, c.step, 7, 3, 3, before);
    for (int64_t row = 0; row < int64_t{c.layers} * c.step.tokens; ++row)
      if (row % c.step.tokens != 7) c.step.ids[size_t(row * c.top_k)] = 0;
    predict_experts(predictor, c.tokens, c.step, 7, 3, 3, after);
    EXPECT_EQ(before, after);
  }
}

TEST(EveryPrediction, ExpectsTheChoicesOfATokenAndAtMostOneOfEachExpert) {
  for (const auto& entry : Registry<PredictionPolicy>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    Rng rng(5);
    const PredictionCase c = random_prediction_case(rng);
    const ExpertPredictor predictor = learnt(PolicyChoice<PredictionPolicy>(entry.name.c_str()), c);
    for (int32_t layer = 0; layer < c.layers; ++layer)
      for (const float expected : predictions(predictor, c, layer, layer)) {
        EXPECT_GE(expected, 0.0F);
        EXPECT_LE(expected, 1.0F);
      }
  }
}

TEST(EveryPrediction, TakesAPastWithoutTokens) {
  for (const auto& entry : Registry<PredictionPolicy>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    Rng rng(5);
    PredictionCase c = random_prediction_case(rng);
    c.past_ids.clear();
    c.past_token.clear();
    c.past_domain.clear();
    const ExpertPredictor predictor = learnt(PolicyChoice<PredictionPolicy>(entry.name.c_str()), c);
    EXPECT_EQ(predictions(predictor, c, 2, 2).size(), size_t(30 * c.experts));
  }
}

TEST(OraclePrediction, IsRightAsOftenAsItsAccuracySays) {
  Rng rng(1);
  const PredictionCase c = random_prediction_case(rng);
  const auto oracle = [&](double accuracy_of) {
    ExpertPredictor predictor = learnt(PolicyChoice<PredictionPolicy>("oracle"), c);
    predictor.oracle = accuracy_of;
    double right = 0;
    std::vector<float> expected(size_t(c.experts));
    for (int32_t layer = 0; layer < c.layers; ++layer)
      for (int64_t token = 0; token < c.step.tokens; ++token) {
        predict_experts(predictor, c.tokens, c.step, token, layer, 0, expected);
        for (const uint16_t expert : c.step.choices(layer, token)) right += double(expected[expert]);
      }
    return right / double(c.layers * c.step.tokens * c.top_k);
  };
  EXPECT_EQ(oracle(1), 1);
  // A wrong guess hits one of the 2 of 12 anyway; 240 choices have a deviation of 0.03.
  EXPECT_NEAR(oracle(0.5), 0.5 + 0.5 * 2 / 12, 0.1);
}

// Two ids; id 1 always chooses expert 3, id 2 expert 8, with 50 tokens each: with 2 average tokens more, 51/52 or 1/52.
TEST(TokenTablePrediction, CountsWhatEachIdChose) {
  PredictionCase c;
  c.layers = 2;
  c.top_k = 1;
  c.placement.hosts.assign(2, std::vector<std::vector<GpuId>>(12, {GpuId(0)}));
  for (int32_t token = 0; token < 100; ++token) {
    c.past_token.push_back(1 + token % 2);
    for (int32_t layer = 0; layer < 2; ++layer) c.past_ids.push_back(token % 2 == 0 ? 3 : 8);
  }
  c.step = {.tokens = 3, .layers = 2, .experts = 12, .top_k = 1, .ids = {3, 8, 8, 3, 8, 8}, .first_token = {0, 3}};
  c.tokens.token = {1, 2, 9};
  const ExpertPredictor predictor = learnt(PolicyChoice<PredictionPolicy>("token_table"), c);
  std::vector<float> expected(12);
  predict_experts(predictor, c.tokens, c.step, 0, 0, 0, expected);
  EXPECT_NEAR(expected[3], 51.0 / 52, 0.01);
  // Id 9 is not known. In the first layer both are as likely; then it chose as id 2 does.
  predict_experts(predictor, c.tokens, c.step, 2, 0, 0, expected);
  EXPECT_NEAR(expected[3], expected[8], 1e-6);
  predict_experts(predictor, c.tokens, c.step, 2, 1, 1, expected);
  EXPECT_NEAR(expected[8], 51.0 / 52, 0.01);
}

// Expert e is always followed by e + 1, whose GPU is that of e + 1 modulo 3.
TEST(Predictions, FollowAChainOfExpertsAndOfGpus) {
  PredictionCase c;
  c.layers = 3;
  c.top_k = 1;
  c.experts = 3;
  c.placement.hosts.assign(3, {{GpuId(0)}, {GpuId(1)}, {GpuId(2)}});
  for (int32_t token = 0; token < 300; ++token) {
    c.past_token.push_back(token);
    for (int32_t layer = 0; layer < 3; ++layer) c.past_ids.push_back(uint16_t((token + layer) % 3));
  }
  c.step = {
      .tokens = 3, .layers = 3, .experts = 3, .top_k = 1, .ids = {0, 1, 2, 1, 2, 0, 2, 0, 1}, .first_token = {0, 3}};
  Rng rng(1);
  const PastTokens past = c.past();
  for (const char* name : {"transition", "ngram", "combined"}) {
    SCOPED_TRACE(name);
    const ExpertPredictor predictor = PolicyChoice<PredictionPolicy>(name).decide({past, c.placement, 3, 3, 3}, rng);
    EXPECT_EQ(accuracy(predictor, c, 2, 2), 1);
  }
}

}  // namespace
}  // namespace moesim
