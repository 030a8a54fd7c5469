// Which experts are brought to a GPU before its tokens are routed to them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sim/config/registry.h"
#include "sim/core/units.h"
#include "sim/moe/offload/cache.h"
#include "sim/moe/offload/expert_schedule.h"
#include "sim/moe/past_tokens.h"

namespace moesim {

// What is known when the tokens of a layer have been routed, or before the first layer of a step (layer -1).
struct PrefetchInput {
  int32_t layers = 0;  // MoE layers
  int32_t experts = 0;
  int32_t top_k = 0;
  int32_t layer = -1;
  int64_t tokens = 0;  // of the GPU's step
  int64_t step = 0;
  const PastTokens& past;                        // the training part
  std::span<const std::vector<int32_t>> chosen;  // [MoE layer up to `layer`] experts needed in this step
  std::span<const uint8_t> present;              // [item] in the GPU's memory, or on its way
  std::span<const uint8_t> hosted{};             // [item] whether it is the GPU's to hold; empty: all are
  std::span<const int64_t> places;               // [MoE layer] experts that fit its part of the cache
  Duration copy;                                 // of one expert, alone on the bus
  Duration window;                               // until the next layer's experts begin, about
  // Tokens that each expert of a later layer will get, as the scenario's `prediction` says: [expert]. Costs time where
  // it was not asked for before in this turn. The span lives until the next call.
  const std::function<std::span<const float>(int32_t layer)>& forecast;
  // How long the experts of that layer would take on GPU and CPU if the likeliest ones were chosen and these were
  // resident besides: the layer re-simulated with the scenario's expert schedule.
  const std::function<Duration(int32_t layer, std::span<const ExpertItem> besides)>& layer_time;

  bool is_hosted(ExpertItem item) const { return hosted.empty() || hosted[size_t(item)] != 0; }
};

// Plain data of whatever a policy remembers; each uses what it needs.
struct PrefetchState {
  std::vector<ExpertItem> wanted;            // what the decision points to
  std::vector<std::vector<float>> matrices;  // of past requests: [item] activations
  std::vector<float> matrix;                 // of the present one
  std::vector<std::vector<int32_t>> table;   // learnt: what follows what
  std::vector<float> weight;
};

// In order of urgency; those that are present are passed over. What an earlier decision wanted and has not begun is
// forgotten.
struct PrefetchPolicy {
  using State = PrefetchState;
  using Input = PrefetchInput;
  using Decision = std::span<const ExpertItem>;
  static constexpr const char* kind = "expert prefetch";
};

}  // namespace moesim
