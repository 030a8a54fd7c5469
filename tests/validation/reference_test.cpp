#include "validation/bench/reference/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "sim/core/random.h"

namespace moesim::bench {
namespace {

std::vector<float> random_floats(Rng& rng, size_t count) {
  std::vector<float> values;
  for (size_t i = 0; i < count; ++i) values.push_back(reference::round_to_bf16(float(rng.uniform() * 2 - 1)));
  return values;
}

// A bfloat16 has 8 significant bits: between 1 and 2 its step is 1/128, so 1 + 1/256 lies half way between 1 (mantissa
// even) and 1 + 1/128 (odd), and 1 + 3/256 half way between that and 1 + 2/128 (even).
TEST(RoundToBf16, TakesTheNearestAndOfTwoEquallyNearTheEven) {
  EXPECT_EQ(reference::round_to_bf16(1.0F), 1.0F);
  EXPECT_EQ(reference::round_to_bf16(1.0F + 1.0F / 256), 1.0F);
  EXPECT_EQ(reference::round_to_bf16(1.0F + 3.0F / 256), 1.0F + 2.0F / 128);
  EXPECT_EQ(reference::round_to_bf16(1.0F + 1.0F / 256 + 1.0F / 65536), 1.0F + 1.0F / 128);
  EXPECT_EQ(reference::round_to_bf16(-1.0F - 3.0F / 256), -1.0F - 2.0F / 128);
  EXPECT_EQ(reference::round_to_bf16(std::numeric_limits<float>::max()), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(reference::round_to_bf16(std::numeric_limits<float>::quiet_NaN())));
}

// exp(ln 3) : exp(0) = 3 : 1.
TEST(SoftmaxTopK, GivesTheProbabilitiesOfTheBestByFallingProbability) {
  const std::vector<float> scores = {0, std::log(3.0F)};
  const reference::TopK all = reference::softmax_top_k(scores, 1, 2, 2, Normalize::no);
  EXPECT_EQ(all.expert_ids, (std::vector<int32_t>{1, 0}));
  EXPECT_NEAR(all.weights[0], 0.75, 1e-7);
  EXPECT_NEAR(all.weights[1], 0.25, 1e-7);
  EXPECT_NEAR(reference::softmax_top_k(scores, 1, 2, 1, Normalize::no).weights[0], 0.75, 1e-7);
  EXPECT_NEAR(reference::softmax_top_k(scores, 1, 2, 1, Normalize::yes).weights[0], 1, 1e-15);
}

TEST(SoftmaxTopK, GivesTiesToTheLowerExpert) {
  const std::vector<float> scores = {1, 2, 1, 2, 2};
  EXPECT_EQ(reference::softmax_top_k(scores, 1, 5, 4, Normalize::no).expert_ids, (std::vector<int32_t>{1, 3, 4, 0}));
}

// Eight experts in four groups. Scores 0 give sigmoids of 1/2, so the bias alone decides. Sums of a group's two best,
// beyond the two halves: 0.9 + 0 = 0.9, 0.5 + 0.5 = 1.0, 0.6 + 0.1 = 0.7, 0.2 + 0.75 = 0.95. Groups 1 and 3 are kept,
// though expert 0 has the highest bias of all. Their three best: 7 (0.75), then 2 and 3 (0.5 each).
TEST(SigmoidGroupTopK, ChoosesByBiasWithinTheBestGroups) {
  const std::vector<float> bias = {0.9F, 0, 0.5F, 0.5F, 0.6F, 0.1F, 0.2F, 0.75F};
  const GroupGate gate{.experts = 8, .k = 3, .groups = 4, .top_groups = 2, .scale = 3};
  const reference::TopK chosen = reference::sigmoid_group_top_k(std::vector<float>(8, 0.0F), bias, 1, gate);
  EXPECT_EQ(chosen.expert_ids, (std::vector<int32_t>{7, 2, 3}));
  for (const double weight : chosen.weights) EXPECT_NEAR(weight, 1, 1e-15);  // equal sigmoids: thirds, times 3
}

// sigmoid(ln 3) = 3/4 and sigmoid(0) = 1/2; without their bias their shares are 3/5 and 2/5, and the scale doubles
// them.
TEST(SigmoidGroupTopK, TakesWeightsWithoutBias) {
  const std::vector<float> scores = {std::log(3.0F), 0};
  const std::vector<float> bias = {0, 10};
  const GroupGate gate{.experts = 2, .k = 2, .groups = 1, .top_groups = 1, .scale = 2};
  const reference::TopK chosen = reference::sigmoid_group_top_k(scores, bias, 1, gate);
  EXPECT_EQ(chosen.expert_ids, (std::vector<int32_t>{1, 0}));
  EXPECT_NEAR(chosen.weights[0], 0.8, 1e-7);
  EXPECT_NEAR(chosen.weights[1], 1.2, 1e-7);
}

TEST(OrderByExpert, IsAStableSortAndKnowsWhereEachChoiceWent) {
  // Choices 0 to 5 of three tokens; expert 1 is chosen by none.
  const std::vector<int32_t> expert_ids = {2, 0, 0, 2, 3, 2};
  const reference::Order order = reference::order_by_expert(expert_ids, 3, 2, 4);
  EXPECT_EQ(order.counts, (std::vector<int32_t>{2, 0, 3, 1}));
  EXPECT_EQ(order.offsets, (std::vector<int32_t>{0, 2, 2, 5, 6}));
  EXPECT_EQ(order.slot_of_choice, (std::vector<int32_t>{2, 0, 1, 3, 5, 4}));
  EXPECT_EQ(order.row_of_slot, (std::vector<int32_t>{0, 1, 0, 1, 2, 2}));
}

TEST(Unpermute, UndoesPermuteWhereWeightsAddUpToOne) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    const int tokens = 1 + int(rng.below(9));
    const int k = 4;
    const int width = 8;
    std::vector<int32_t> expert_ids;
    for (int i = 0; i < tokens * k; ++i) expert_ids.push_back(int32_t(rng.below(6)));
    const reference::Order order = reference::order_by_expert(expert_ids, tokens, k, 6);
    const std::vector<float> x = random_floats(rng, size_t(tokens * width));
    const std::vector<double> rows = reference::gather_rows(x, order.row_of_slot, width);
    std::vector<float> weights;
    for (int token = 0; token < tokens; ++token) weights.insert(weights.end(), {0.5F, 0.25F, 0.125F, 0.125F});
    const std::vector<double> back = reference::unpermute(std::vector<float>(rows.begin(), rows.end()),
                                                          order.slot_of_choice, weights, tokens, k, width);
    EXPECT_EQ(back, std::vector<double>(x.begin(), x.end()));
  }
}

// silu(0) = 0; silu(ln 3) = ln 3 * 3/4.
TEST(Swiglu, MultipliesTheSecondHalfWithSiluOfTheFirst) {
  const float x = std::log(3.0F);
  const std::vector<double> out = reference::swiglu(std::vector<float>{0, x, 5, 2}, 1, 2);
  EXPECT_EQ(out[0], 0);
  EXPECT_NEAR(out[1], double(x) * 0.75 * 2, 1e-6);
}

// The mean of 9, 16, 0, 0 is 6.25, its root 2.5.
TEST(RmsNorm, DividesByTheRootOfTheMeanSquare) {
  const std::vector<double> out =
      reference::rms_norm(std::vector<float>{3, 4, 0, 0}, std::vector<float>{1, 10, 1, 1}, 1, 4, 0);
  EXPECT_NEAR(out[0], 1.2, 1e-12);
  EXPECT_NEAR(out[1], 16, 1e-12);
  EXPECT_EQ(out[2], 0);
}

// Group 0 has row (1, 2), group 1 none, group 2 row (3, 4). Matrices [n, k]: their rows are dotted with the row of a.
TEST(GroupedGemm, UsesTheMatrixOfTheGroupAndPassesOverEmptyOnes) {
  const std::vector<float> a = {1, 2, 3, 4};
  const std::vector<float> w = {1, 0, 0, 1, 100, 100, 100, 100, 1, 1, 1, -1};
  const std::vector<int32_t> offsets = {0, 1, 1, 2};
  EXPECT_EQ(reference::grouped_gemm(a, w, offsets, {.rows = 2, .groups = 3, .n = 2, .k = 2}),
            (std::vector<double>{1, 2, 7, -1}));
}

TEST(Attention, OfOneKeyReturnsItsValue) {
  const Attention shape{.heads = 2, .kv_heads = 1, .qk_dim = 2, .v_dim = 2};
  EXPECT_EQ(
      reference::attention(std::vector<float>{1, 2, 3, 4}, std::vector<float>{5, 6}, std::vector<float>{7, 8}, shape),
      (std::vector<double>{7, 8, 7, 8}));
}

// Equal scores give the mean of the values that are seen: of the first, then of the first two.
TEST(Attention, IsCausal) {
  const Attention shape{.q = 2, .kv = 2, .qk_dim = 1, .v_dim = 1};
  EXPECT_EQ(reference::attention(std::vector<float>{0, 0}, std::vector<float>{1, 1}, std::vector<float>{2, 6}, shape),
            (std::vector<double>{2, 4}));
}

// One query after two earlier keys sees all three: (2 + 6 + 1) / 3.
TEST(Attention, TakesTheQueriesAsTheLastPositions) {
  const Attention shape{.q = 1, .kv = 3, .qk_dim = 1, .v_dim = 1};
  const auto out =
      reference::attention(std::vector<float>{0}, std::vector<float>{1, 1, 1}, std::vector<float>{2, 6, 1}, shape);
  EXPECT_NEAR(out[0], 3, 1e-12);
}

// Scores 0 and ln 3 * 2 / sqrt(4) = ln 3: weights 1/4 and 3/4.
TEST(Attention, ScalesScoresByTheRootOfTheDimension) {
  const Attention shape{.q = 1, .kv = 2, .qk_dim = 4, .v_dim = 1};
  const std::vector<float> keys = {0, 0, 0, 0, std::log(3.0F), 0, 0, 0};
  const auto out = reference::attention(std::vector<float>{2, 0, 0, 0}, keys, std::vector<float>{0, 4}, shape);
  EXPECT_NEAR(out[0], 3, 1e-6);
}

// Heads 0 and 1 read kv head 0, heads 2 and 3 kv head 1.
TEST(Attention, SharesKeysAmongNeighbouringHeads) {
  const Attention shape{.heads = 4, .kv_heads = 2, .qk_dim = 1, .v_dim = 1};
  EXPECT_EQ(
      reference::attention(std::vector<float>{0, 0, 0, 0}, std::vector<float>{1, 1}, std::vector<float>{5, 9}, shape),
      (std::vector<double>{5, 5, 9, 9}));
}

TEST(Attention, TakesValuesFromKeysWhereItShould) {
  const Attention shape{.qk_dim = 3, .v_dim = 2, .values = Values::first_of_keys};
  EXPECT_EQ(reference::attention(std::vector<float>{1, 1, 1}, std::vector<float>{5, 6, 7}, {}, shape),
            (std::vector<double>{5, 6}));
}

// The difference (0, 1) has norm 1, what is expected (3, 4) norm 5.
TEST(RelativeError, IsTheNormOfTheDifferenceAndInfiniteForPoison) {
  EXPECT_NEAR(reference::relative_error(std::vector<float>{3, 5}, std::vector<double>{3, 4}), 0.2, 1e-12);
  EXPECT_EQ(reference::relative_error(std::vector<float>{3, NAN}, std::vector<double>{3, 4}), INFINITY);
  EXPECT_EQ(reference::relative_error(std::vector<float>{3}, std::vector<double>{3, 4}), INFINITY);
  EXPECT_EQ(reference::relative_error(std::vector<float>{2}, std::vector<double>{0}), 2);
}

}  // namespace
}  // namespace moesim::bench
