// How well a predictor ranks experts: the part of what tokens chose that was among the likeliest.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/moe/prediction.h"

namespace moesim {

// Sums over tokens.
struct PredictionRecall {
  std::vector<int32_t> among;    // how many of the likeliest experts, such as k and 2 k
  std::vector<int64_t> choices;  // [MoE layer]
  std::vector<int64_t> found;    // [MoE layer * among.size() + place in `among`]
};

// Predicts each layer of a step that has been routed from the layers at least `distance` before it, from 1 on; in the
// first layers nothing is known.
void add_recall(const ExpertPredictor& predictor, const StepTokens& tokens, const StepRouting& routing,
                int32_t distance, PredictionRecall& recall);

// 1 where nothing was chosen.
double recall_of_layer(const PredictionRecall& recall, int32_t layer, size_t place);
double recall_of_all(const PredictionRecall& recall, size_t place);

}  // namespace moesim
