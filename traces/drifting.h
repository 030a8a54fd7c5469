// Synthetic routing whose popularity is known exactly and may change from step to step: workloads that each isolate one
// trouble of expert parallelism, under the names that Megatron-LM's token-imbalance benchmark gives them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "traces/synthetic.h"

namespace moesim {

// Hot experts are each chosen `heat` times as often as the mean expert, all others equally often. How many of a token's
// choices are hot is the same for all tokens but for rounding, so that loads have little noise.
class DriftingRouter {
 public:
  // Ranks are GPUs of an expert-parallel group, over which the first `placed` experts lie in equal blocks.
  DriftingRouter(const SyntheticRouting& options, RoutingShape shape, int32_t placed, int32_t ranks, uint64_t seed);

  // In a step, from 0; those before it are as the first. Sorted; empty where none is hot.
  std::vector<uint16_t> hot_experts(int64_t layer, int64_t step) const;

  // How often a hot expert is chosen over the mean: what was asked for, as far as so many hot experts and k choices of
  // different experts allow.
  double heat(int64_t hot_experts) const;

  // Fills [layer][k] with the choices of a token of that number in that step.
  void route(int64_t step, int64_t token, std::span<uint16_t> row) const;

  // Of the tokens that a GPU holds in a step, those that are not padding.
  int64_t live_tokens(int64_t held, int32_t gpu, int32_t gpus) const;

 private:
  int64_t hot_count() const;
  int64_t first_hot(int64_t step) const;  // in the order of a layer, or -1 where none is hot

  SyntheticRouting options_;
  RoutingShape shape_;
  int32_t placed_;
  int32_t ranks_;
  uint64_t seed_;
  std::vector<std::vector<uint16_t>> order_;  // [layer] of its experts; hot ones follow each other, round and round
};

}  // namespace moesim
