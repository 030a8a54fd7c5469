// Which experts the tokens of a step chose, and where each token is held while it goes through the MoE layers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "topologies/ids.h"

namespace moesim {

enum class ExpertId : int32_t {};

// A choice that reaches no expert: dropped by capacity, or a zero-computation expert.
constexpr uint16_t kNoExpert = 0xFFFF;

// ids [moe layer][token][k], by falling gate weight. Tokens are numbered by the GPU that holds them in the MoE layers:
// GPU g holds tokens first_token[g] .. first_token[g + 1].
// Where only counts are known, counts[moe layer][gpu * experts + expert] says how many tokens that the GPU holds chose
// the expert, and ids are empty. Features that need tokens CHECK that there are any.
struct StepRouting {
  int64_t tokens = 0;
  int32_t layers = 0;  // MoE layers of the model
  int32_t experts = 0;
  int32_t top_k = 0;
  std::vector<uint16_t> ids;
  std::vector<std::vector<int64_t>> counts{};
  std::vector<int64_t> first_token;  // [gpus + 1]
  // Where tokens were dealt out anew: [moe layer] as first_token, and the ids of each layer are in the layer's own
  // order.
  std::vector<std::vector<int64_t>> first_in_layer{};
  std::vector<float> gate{};  // as ids, the weight of each choice; empty where nobody asked or it was not recorded

  const std::vector<int64_t>& first(int32_t layer) const {
    return first_in_layer.empty() ? first_token : first_in_layer[size_t(layer)];
  }

  bool is_counts() const { return !counts.empty(); }

  std::span<const float> weights(int32_t layer, int64_t token) const {
    return {gate.data() + (int64_t{layer} * tokens + token) * top_k, size_t(top_k)};
  }
  std::span<const uint16_t> choices(int32_t layer, int64_t token) const {
    return {ids.data() + (int64_t{layer} * tokens + token) * top_k, size_t(top_k)};
  }
};

}  // namespace moesim
