// What speculation did in a run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/fields.h"

namespace moesim {

struct SpeculatedLayerResult {
  int32_t layer = 0;
  double local_activation_rate = 0;
  double active_experts = 0;
  std::optional<double> expert_accuracy;
  std::optional<double> gpu_accuracy;
};

template <class Visitor>
void fields(Visitor& v, SpeculatedLayerResult& s) {
  v.required("layer", s.layer, at_least(0), "layer of the model, from 0");
  v.required("local_activation_rate", s.local_activation_rate, between(0.0, 1.0),
             "choices computed on the GPU that holds the token");
  v.required("active_experts", s.active_experts, at_least(0.0), "experts with a token, mean over steps");
  v.optional("expert_accuracy", s.expert_accuracy, between(0.0, 1.0),
             "of each token's k likeliest experts, the part that it chose; absent where nothing was predicted");
  v.optional("gpu_accuracy", s.gpu_accuracy, between(0.0, 1.0),
             "tokens for which no GPU hosted more of their experts than the one predicted to");
}

struct SpeculationResult {
  std::string shuffle;
  std::string prediction;
  std::string batching;
  double local_activation_rate = 0;
  double unshuffled_local_activation_rate = 0;
  double token_max_over_mean = 1;
  double active_experts = 0;
  std::optional<double> expert_accuracy;
  std::optional<double> gpu_accuracy;
  int64_t table_bytes = 0;
  double predict_s = 0;
  int64_t bytes_saved = 0;
  double time_saved_s = 0;
  std::vector<SpeculatedLayerResult> layers;
};

template <class Visitor>
void fields(Visitor& v, SpeculationResult& s) {
  constexpr double kHuge = 1e18;
  v.required("shuffle", s.shuffle, "its policy");
  v.required("prediction", s.prediction, "its policy");
  v.required("batching", s.batching, "its policy");
  v.required("local_activation_rate", s.local_activation_rate, between(0.0, 1.0),
             "choices computed on the GPU that holds the token, mean over MoE layers");
  v.required("unshuffled_local_activation_rate", s.unshuffled_local_activation_rate, between(0.0, 1.0),
             "the same of a run without shuffle and batching");
  v.required("token_max_over_mean", s.token_max_over_mean, at_least(0.0),
             "tokens of the fullest GPU over the mean, the largest of all steps and MoE layers");
  v.required("active_experts", s.active_experts, at_least(0.0), "experts with a token, mean over MoE layers and steps");
  v.optional("expert_accuracy", s.expert_accuracy, between(0.0, 1.0), "mean over layers");
  v.optional("gpu_accuracy", s.gpu_accuracy, between(0.0, 1.0), "mean over layers");
  v.required("table_bytes", s.table_bytes, at_least(int64_t{0}), "memory of the predictor's tables, B");
  v.required("predict_s", s.predict_s, at_least(0.0), "time of a step that GPUs spend on predictions, s");
  v.required("bytes_saved", s.bytes_saved, between(int64_t{-1} << 62, int64_t{1} << 62),
             "payload that a run without shuffle and batching sends more, B");
  v.required("time_saved_s", s.time_saved_s, between(-kHuge, kHuge),
             "what a step of that run takes longer; the prediction's own cost is paid already, s");
  v.required("layers", s.layers, "each MoE layer");
}

}  // namespace moesim
