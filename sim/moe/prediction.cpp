#include "sim/moe/prediction.h"

#include <algorithm>
#include <array>

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

// In lanes, which a compiler makes vectors of.
float largest(std::span<const float> values) {
  std::array<float, 8> most;
  most.fill(values.front());
  size_t at = 0;
  for (; at + most.size() <= values.size(); at += most.size())
    for (size_t lane = 0; lane < most.size(); ++lane)
      most[lane] = most[lane] < values[at + lane] ? values[at + lane] : most[lane];
  for (; at < values.size(); ++at) most[0] = std::max(most[0], values[at]);
  return *std::max_element(most.begin(), most.end());
}

// Scores become expectations: they sum to the choices of a token, and none is above 1.
void normalise(std::span<float> score, int32_t top_k) {
  const float most = largest(score);
  std::array<double, 128> block;
  double sum = 0;
  for (size_t begin = 0; begin < score.size(); begin += block.size()) {
    const size_t size = std::min(block.size(), score.size() - begin);
    for (size_t at = 0; at < size; ++at) block[at] = double(score[begin + at] - most);
    exact_exp(std::span(block).first(size));
    for (size_t at = 0; at < size; ++at) {
      score[begin + at] = float(block[at]);
      sum += double(score[begin + at]);
    }
  }
  const float scale = float(top_k / sum);
  for (float& value : score) value = std::min(1.0F, value * scale);
}

// What names a token's turn in a layer, so that what is drawn for it is the same whenever it is asked for, and another
// in another step.
uint64_t turn_of(const StepTokens& tokens, const StepRouting& routing, int64_t token, int32_t layer) {
  uint64_t turn = splitmix64(uint64_t(token) * 4096 + uint64_t(layer));
  if (!tokens.token.empty()) turn = splitmix64(turn ^ uint64_t(uint32_t(tokens.token[size_t(token)])));
  for (const int32_t of : {layer - 1, layer})
    if (of >= 0)
      for (const uint16_t expert : routing.choices(of, token)) turn = splitmix64(turn ^ expert);
  return turn;
}

// Each choice is right with the oracle's accuracy, else another expert stands for it.
void tell_future(const ExpertPredictor& predictor, std::span<const uint16_t> chosen, uint64_t turn,
                 std::span<float> expected) {
  Rng rng(turn);
  for (const uint16_t expert : chosen) {
    if (expert == kNoExpert) continue;
    const bool right = rng.uniform() < predictor.oracle;
    const size_t other = size_t(rng.below(expected.size()));
    expected[right ? expert : other] = 1;
  }
}

// Beyond it, a gate that was wrong by this much would be a marvel.
constexpr double kCertain = 500;

// A gate's score of each expert is a Gumbel variable, `raised` by 1 / noise where the token will choose the expert;
// what is heard of it changes the odds that the tables gave, by Bayes's rule. exp(-Gumbel) is exponential with mean 1.
void overhear(const ExpertPredictor& predictor, std::span<const uint16_t> chosen, uint64_t turn, int32_t distance,
              std::span<float> expected) {
  constexpr double kLeast = 1e-6;
  const double noise = predictor.gate_noise * exact_pow(predictor.gate_noise_growth, distance - 1);
  const double raised = noise * kCertain > 1 ? 1 / noise : kCertain;
  const double slope_of_chosen = 1 - exact_exp(-raised);
  const double slope_of_others = exact_exp(raised) - 1;
  for (size_t expert = 0; expert < expected.size(); ++expert) {
    const bool is_chosen = std::find(chosen.begin(), chosen.end(), uint16_t(expert)) != chosen.end();
    if (raised >= kCertain) {
      expected[expert] = is_chosen ? 1 : 0;
      continue;
    }
    const double uniform = double((splitmix64(turn + expert) >> 11) + 1) * 0x1.0p-53;
    const double heard = -exact_log(uniform) * (is_chosen ? slope_of_chosen : slope_of_others);
    const double prior = std::clamp(double(expected[expert]), kLeast, 1 - kLeast);
    const double odds = prior / (1 - prior) * exact_exp(raised - heard);
    expected[expert] = float(odds / (1 + odds));
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
  if (predictor.oracle >= 0)
    return tell_future(predictor, routing.choices(layer, token), turn_of(tokens, routing, token, layer), expected);
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
  if (predictor.gate_noise >= 0 && known_layers > 0)
    overhear(predictor, routing.choices(layer, token), turn_of(tokens, routing, token, layer),
             std::max(1, layer - known_layers + 1), expected);
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
