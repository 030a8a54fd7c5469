#include "sim/moe/prediction.h"

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/core/math.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

constexpr size_t kNoRow = SIZE_MAX;

void add_row(std::span<float> score, const std::vector<float>& table, size_t row) {
  const float* const from = table.data() + row * score.size();
  for (size_t expert = 0; expert < score.size(); ++expert) score[expert] += from[expert];
}

size_t row_of(const ExpertPredictor& predictor, int32_t id) {
  const auto found = std::lower_bound(predictor.token_ids.begin(), predictor.token_ids.end(), id);
  if (found == predictor.token_ids.end() || *found != id) return kNoRow;
  return size_t(found - predictor.token_ids.begin());
}

// The first of equals.
size_t nearest_row(const ExpertPredictor& predictor, int32_t layer_before, std::span<const uint16_t> chosen) {
  const size_t rows = predictor.token_ids.size();
  if (predictor.nearest.empty() || rows == 0) return kNoRow;
  const std::vector<float>& table = predictor.nearest[size_t(layer_before)];
  std::vector<float> likelihood(rows, 0);
  for (const uint16_t expert : chosen) {
    if (expert == kNoExpert) continue;
    const float* const from = table.data() + expert * rows;
    for (size_t row = 0; row < rows; ++row) likelihood[row] += from[row];
  }
  return size_t(std::max_element(likelihood.begin(), likelihood.end()) - likelihood.begin());
}

// Scores become expectations: they sum to the choices of a token, and none is above 1.
void normalise(std::span<float> score, int32_t top_k) {
  const float most = *std::max_element(score.begin(), score.end());
  double sum = 0;
  for (float& value : score) {
    value = float(exact_exp(double(value - most)));
    sum += double(value);
  }
  const float scale = float(top_k / sum);
  for (float& value : score) value = std::min(1.0F, value * scale);
}

// Each choice is right with the oracle's accuracy, else another expert stands for it; both depend on the token's
// choices alone.
void tell_future(const ExpertPredictor& predictor, std::span<const uint16_t> chosen, int64_t token, int32_t layer,
                 std::span<float> expected) {
  Rng rng(splitmix64(uint64_t(token) * 4096 + uint64_t(layer)));
  for (const uint16_t expert : chosen) {
    if (expert == kNoExpert) continue;
    const bool right = rng.uniform() < predictor.oracle;
    const size_t other = size_t(rng.below(expected.size()));
    expected[right ? expert : other] = 1;
  }
}

}  // namespace

int32_t gpu_of_most(std::span<const uint16_t> chosen, const std::vector<int32_t>& gpu_of, int32_t gpus) {
  int32_t best = 0;
  int64_t most = -1;
  for (int32_t gpu = 0; gpu < gpus; ++gpu) {
    const auto here = std::count_if(chosen.begin(), chosen.end(),
                                    [&](uint16_t expert) { return expert != kNoExpert && gpu_of[expert] == gpu; });
    if (here <= most) continue;
    most = here;
    best = gpu;
  }
  return best;
}

void predict_experts(const ExpertPredictor& predictor, const StepTokens& tokens, const StepRouting& routing,
                     int64_t token, int32_t layer, int32_t known_layers, std::span<float> expected) {
  CHECK(expected.size() == size_t(predictor.experts));
  std::fill(expected.begin(), expected.end(), 0.0F);
  if (predictor.oracle >= 0) return tell_future(predictor, routing.choices(layer, token), token, layer, expected);
  const PredictedLayer& tables = predictor.layers[size_t(layer)];
  std::copy(tables.prior.begin(), tables.prior.end(), expected.begin());
  const bool knows_before = layer > 0 && layer - 1 < known_layers;
  if (!tables.by_token.empty() && !tokens.token.empty()) {
    size_t row = row_of(predictor, tokens.token[size_t(token)]);
    if (row == kNoRow && knows_before) row = nearest_row(predictor, layer - 1, routing.choices(layer - 1, token));
    if (row != kNoRow) add_row(expected, tables.by_token, row);
  }
  if (!tables.by_domain.empty() && !tokens.domain.empty()) {
    const size_t domain = size_t(tokens.domain[size_t(token)]);
    if ((domain + 1) * expected.size() <= tables.by_domain.size()) add_row(expected, tables.by_domain, domain);
  }
  if (!tables.by_expert.empty() && knows_before)
    for (const uint16_t before : routing.choices(layer - 1, token))
      if (before != kNoExpert) add_row(expected, tables.by_expert, before);
  if (!tables.by_gpus.empty() && knows_before && layer > 1) {
    const auto gpu = [&](int32_t of_layer) {
      return size_t(gpu_of_most(routing.choices(of_layer, token), predictor.gpu_of[size_t(of_layer)], predictor.gpus));
    };
    add_row(expected, tables.by_gpus, gpu(layer - 2) * size_t(predictor.gpus) + gpu(layer - 1));
  }
  normalise(expected, routing.top_k);
}

int64_t table_bytes(const ExpertPredictor& predictor) {
  int64_t entries = 0;
  for (const PredictedLayer& layer : predictor.layers)
    entries += int64_t(layer.prior.size() + layer.by_token.size() + layer.by_domain.size() + layer.by_expert.size() +
                       layer.by_gpus.size());
  for (const std::vector<float>& layer : predictor.nearest) entries += int64_t(layer.size());
  return 2 * entries;
}

int64_t lookup_bytes(const ExpertPredictor& predictor, int32_t layer, int32_t top_k) {
  if (predictor.layers.empty()) return 0;
  const PredictedLayer& tables = predictor.layers[size_t(layer)];
  int64_t rows = 1;
  if (!tables.by_token.empty()) ++rows;
  if (!tables.by_domain.empty()) ++rows;
  if (!tables.by_expert.empty()) rows += top_k;
  if (!tables.by_gpus.empty()) ++rows;
  return 2 * rows * predictor.experts;
}

}  // namespace moesim
