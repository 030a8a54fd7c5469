// Small worlds for tests of predictors: choices that a few keys explain, and the spans that predictors learn from.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "sim/core/random.h"
#include "sim/moe/prediction.h"

namespace moesim {

struct PredictionCase {
  int32_t layers = 4;
  int32_t experts = 12;
  int32_t gpus = 3;
  int32_t top_k = 2;
  std::vector<uint16_t> past_ids;
  std::vector<int32_t> past_token;
  std::vector<int32_t> past_domain;
  Placement placement;
  StepRouting step;
  StepTokens tokens;

  PastTokens past() const {
    PastTokens past;
    past.tokens = int64_t(past_token.size());
    past.top_k = past.recorded_top_k = top_k;
    past.recorded_layers = layers;
    past.ids = past_ids;
    past.token = past_token;
    past.domain = past_domain;
    return past;
  }
};

// k distinct experts, mostly those that the token's id points to in this layer.
inline std::vector<uint16_t> choices_of(const PredictionCase& c, int32_t id, int32_t layer, Rng& rng) {
  std::vector<uint16_t> all(size_t(c.experts));
  std::iota(all.begin(), all.end(), uint16_t{0});
  rng.shuffle(std::span(all));
  const auto favourite = uint16_t((id + 5 * layer) % c.experts);
  if (rng.below(10) < 8) std::iter_swap(all.begin(), std::find(all.begin(), all.end(), favourite));
  all.resize(size_t(c.top_k));
  return all;
}

inline PredictionCase random_prediction_case(Rng& rng) {
  PredictionCase c;
  c.placement.hosts.resize(size_t(c.layers));
  for (auto& hosts : c.placement.hosts)
    for (int32_t expert = 0; expert < c.experts; ++expert) hosts.push_back({GpuId(expert % c.gpus)});
  for (int32_t token = 0; token < 200; ++token) {
    c.past_token.push_back(int32_t(rng.below(20)));
    c.past_domain.push_back(c.past_token.back() % 4);
    for (int32_t layer = 0; layer < c.layers; ++layer)
      for (const uint16_t expert : choices_of(c, c.past_token.back(), layer, rng)) c.past_ids.push_back(expert);
  }
  c.step = {
      .tokens = 30, .layers = c.layers, .experts = c.experts, .top_k = c.top_k, .ids = {}, .first_token = {0, 30}};
  for (int32_t token = 0; token < 30; ++token) {
    c.tokens.token.push_back(int32_t(rng.below(24)));  // some were never seen
    c.tokens.domain.push_back(c.tokens.token.back() % 4);
  }
  for (int32_t layer = 0; layer < c.layers; ++layer)
    for (int32_t token = 0; token < 30; ++token)
      for (const uint16_t expert : choices_of(c, c.tokens.token[size_t(token)], layer, rng))
        c.step.ids.push_back(expert);
  return c;
}

inline ExpertPredictor learnt(const PolicyChoice<PredictionPolicy>& policy, const PredictionCase& c) {
  const PastTokens past = c.past();
  Rng rng(1);
  return policy.decide({past, c.placement, c.layers, c.experts, c.gpus}, rng);
}

// Part of the k likeliest experts that tokens chose, mean over the layer's tokens.
inline double accuracy(const ExpertPredictor& predictor, const PredictionCase& c, int32_t layer, int32_t known_layers) {
  double right = 0;
  std::vector<float> expected(size_t(c.experts));
  for (int64_t token = 0; token < c.step.tokens; ++token) {
    predict_experts(predictor, c.tokens, c.step, token, layer, known_layers, expected);
    std::vector<size_t> order(expected.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return expected[a] > expected[b]; });
    for (const uint16_t expert : c.step.choices(layer, token))
      right += std::find(order.begin(), order.begin() + c.top_k, expert) != order.begin() + c.top_k;
  }
  return right / double(c.step.tokens * c.top_k);
}

}  // namespace moesim
