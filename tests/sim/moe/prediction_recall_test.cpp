#include "sim/moe/prediction_recall.h"

#include <gtest/gtest.h>

namespace moesim {
namespace {

// Experts 2, 0 and 1 are likely in this order, whatever is known. Two tokens choose {0, 1} and {2, none}: of three
// choices, one is the likeliest and two are among the likeliest two.
TEST(PredictionRecall, CountsChoicesAmongTheLikeliest) {
  ExpertPredictor predictor;
  predictor.experts = 3;
  predictor.layers.resize(1);
  predictor.layers[0].prior = {-2, -3, -1};
  const StepRouting routing = {
      .tokens = 2, .layers = 1, .experts = 3, .top_k = 2, .ids = {0, 1, 2, kNoExpert}, .first_token = {0, 2}};
  PredictionRecall recall;
  recall.among = {1, 2, 3};
  add_recall(predictor, {}, routing, 1, recall);
  EXPECT_EQ(recall.choices, (std::vector<int64_t>{3}));
  EXPECT_EQ(recall.found, (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(recall_of_layer(recall, 0, 1), 2.0 / 3);
  EXPECT_EQ(recall_of_all(recall, 2), 1);
  add_recall(predictor, {}, routing, 2, recall);  // sums
  EXPECT_EQ(recall.found, (std::vector<int64_t>{2, 4, 6}));
}

}  // namespace
}  // namespace moesim
