// Which experts tokens will choose, guessed before their gate runs, from what was learnt of past tokens.
//
// A policy learns tables; predict_experts() reads them. All are parts of one log-linear model: a token's score of an
// expert is the logarithm of how often tokens choose it at all, plus what the token's id, its domain, its experts in
// the layer before and its GPUs in the two layers before add to that. A table that a policy leaves empty adds nothing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/config/registry.h"
#include "sim/moe/past_tokens.h"
#include "sim/moe/placement.h"
#include "sim/moe/routing.h"

namespace moesim {

struct PredictionInput {
  const PastTokens& past;
  const Placement& placement;
  int32_t layers = 0;
  int32_t experts = 0;
  int32_t gpus = 0;  // of an expert-parallel group
};

// Logarithms. What a table adds is weighted already.
struct PredictedLayer {
  std::vector<float> prior;      // [expert]
  std::vector<float> by_token;   // [row * experts + expert]
  std::vector<float> by_domain;  // [domain * experts + expert]
  std::vector<float> by_expert;  // [expert of the layer before * experts + expert]
  std::vector<float> by_gpus;    // [(GPU two layers before * gpus + GPU of the layer before) * experts + expert]
};

struct ExpertPredictor {
  int32_t experts = 0;
  int32_t gpus = 0;
  std::vector<int32_t> token_ids;            // those learnt, rising; the row of each is its place here
  std::vector<std::vector<int32_t>> gpu_of;  // [layer][expert] the first host
  std::vector<PredictedLayer> layers;
  // [layer][expert * rows + row] as by_token: then an unknown id takes the row that makes its experts in the layer
  // before most likely.
  std::vector<std::vector<float>> nearest;
  double oracle = -1;  // from 0 on: reads the future, and gets each choice right with this probability
  // From 0 on: hears of the future what a gate tells that is applied before its layer's turn, with this much noise,
  // which grows by a factor with each further layer. Once a layer has been routed: before, there is nothing to apply it
  // to.
  double gate_noise = -1;
  double gate_noise_growth = 1;
};

// A policy must not look at tokens that have not been routed; "oracle" sets the field of that name.
struct PredictionPolicy {
  using Input = PredictionInput;
  using Decision = ExpertPredictor;
  static constexpr const char* kind = "prediction";
};

// What is known of a step's tokens before they are routed. Empty where it was not recorded.
struct StepTokens {
  std::vector<int32_t> token;
  std::vector<int32_t> domain;
};

// The GPU of the group that hosts most of these choices, the lowest of equals.
int32_t gpu_of_most(std::span<const uint16_t> chosen, const std::vector<int32_t>& gpu_of, int32_t gpus);

// Predicts layer `layer` of one token into expected[expert], how many of its choices go there. Of the routing only the
// layers below `known_layers` are read, and of them only this token.
void predict_experts(const ExpertPredictor& predictor, const StepTokens& tokens, const StepRouting& routing,
                     int64_t token, int32_t layer, int32_t known_layers, std::span<float> expected);

// Bytes of all tables with 2-byte entries, and those that one token's prediction reads in a layer.
int64_t table_bytes(const ExpertPredictor& predictor);
int64_t lookup_bytes(const ExpertPredictor& predictor, int32_t layer, int32_t top_k);

}  // namespace moesim
