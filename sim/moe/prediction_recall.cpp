#include "sim/moe/prediction_recall.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {
namespace {

double part(int64_t found, int64_t choices) { return choices == 0 ? 1 : double(found) / double(choices); }

// How many experts come before this one, the lowest of equals first; all where nothing is expected of it.
int64_t rank_of(std::span<const float> expected, size_t expert) {
  const float own = expected[expert];
  if (own <= 0) return int64_t(expected.size());
  int64_t before = 0;
  for (size_t other = 0; other < expected.size(); ++other)
    before += expected[other] > own || (expected[other] == own && other < expert) ? 1 : 0;
  return before;
}

}  // namespace

void add_recall(const ExpertPredictor& predictor, const StepTokens& tokens, const StepRouting& routing,
                int32_t distance, PredictionRecall& recall) {
  CHECK(distance >= 1);
  const size_t places = recall.among.size();
  recall.choices.resize(size_t(routing.layers), 0);
  recall.found.resize(size_t(routing.layers) * places, 0);
  std::vector<float> expected(size_t(routing.experts));
  for (int32_t layer = 0; layer < routing.layers; ++layer)
    for (int64_t token = 0; token < routing.tokens; ++token) {
      predict_experts(predictor, tokens, routing, token, layer, std::max(0, layer - distance + 1), expected);
      for (const uint16_t expert : routing.choices(layer, token)) {
        if (expert == kNoExpert) continue;
        const int64_t rank = rank_of(expected, expert);
        ++recall.choices[size_t(layer)];
        for (size_t place = 0; place < places; ++place)
          recall.found[size_t(layer) * places + place] += rank < recall.among[place] ? 1 : 0;
      }
    }
}

double recall_of_layer(const PredictionRecall& recall, int32_t layer, size_t place) {
  return part(recall.found[size_t(layer) * recall.among.size() + place], recall.choices[size_t(layer)]);
}

double recall_of_all(const PredictionRecall& recall, size_t place) {
  int64_t found = 0;
  int64_t choices = 0;
  for (size_t layer = 0; layer < recall.choices.size(); ++layer) {
    found += recall.found[layer * recall.among.size() + place];
    choices += recall.choices[layer];
  }
  return part(found, choices);
}

}  // namespace moesim
