// What the experts will be loaded with, from what the steps so far loaded them with: what a placement is made for.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/config/registry.h"
#include "sim/moe/routing.h"

namespace moesim {

// [MoE layer][expert] routed tokens.
using ExpertLoads = std::vector<std::vector<int64_t>>;

// Of the steps so far; each predictor keeps what it needs.
struct LoadHistory {
  std::vector<ExpertLoads> steps;            // the oldest first
  std::vector<std::vector<double>> average;  // [layer][expert]
};

// Observes the loads of each step once, in order, and predicts those of the steps to come. Predictions have a scale of
// their own: only their proportions mean something, which is all that balance depends on.
struct LoadPredictionPolicy {
  using State = LoadHistory;
  using Input = ExpertLoads;
  using Decision = ExpertLoads;
  static constexpr const char* kind = "load prediction";
};

// The loads of a step that has been routed.
ExpertLoads loads_of(const StepRouting& routing);

}  // namespace moesim
