// When a new placement is made, while steps run.
#pragma once

#include <cstdint>

#include "sim/config/registry.h"

namespace moesim {

// What is observed after each step.
struct RebalanceObservation {
  // Of the loads of GPUs under the present placement, if experts are loaded as predicted: mean over MoE layers.
  double predicted_max_over_mean = 1;
  bool migrating = false;  // weights of the placement before are still on their way
};

struct RebalanceState {
  int64_t steps = 0;  // since the last rebalance
};

// Decides whether to rebalance now: never while weights are on their way.
struct RebalancePolicy {
  using State = RebalanceState;
  using Input = RebalanceObservation;
  using Decision = bool;
  static constexpr const char* kind = "rebalancing";
};

}  // namespace moesim
