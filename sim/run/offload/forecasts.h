// What the tokens of a step are expected to need in layers that they have not reached, and how right that was.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/moe/layout.h"
#include "sim/moe/placement.h"
#include "sim/moe/prediction.h"
#include "sim/run/routing_source.h"

namespace moesim {

class ExpertForecasts {
 public:
  // All but the placement must outlive it. Learns from the training part.
  ExpertForecasts(const LoadedScenario& loaded, const Layout& layout, const RoutingSource& source,
                  const Placement& placement);

  // The routing must live as long as the step; of it only layers that the tokens have reached are looked at.
  void begin_step(const StepRouting& routing, StepTokens tokens);

  // Tokens of an expert-parallel group that each expert of the layer will get, when those of the first `known_layers`
  // are known: [expert]. Remembered until more layers are known. Many tokens are told by a sample.
  std::span<const float> forecast(int32_t group, int32_t layer, int32_t known_layers);

  // [item], 0 for layers that were not asked for in this step; those of a layer that has had its turn on
  // all GPUs of the group are forgotten.
  std::span<const float> all(int32_t group) const { return groups_[size_t(group)].expected; }
  bool made(int32_t group, int32_t layer) const { return groups_[size_t(group)].known[size_t(layer)] >= 0; }
  void forget(int32_t group, int32_t layer);

  // How many of these experts are among as many that the layer's forecast thinks likeliest, of those that `hosted`
  // lists.
  int64_t recalled(int32_t group, int32_t layer, std::span<const int32_t> needed, std::span<const int32_t> hosted);

 private:
  struct Group {
    std::vector<float> expected;  // [item]
    std::vector<int32_t> known;   // [MoE layer] layers known when it was forecast; -1 where it was not
    std::vector<int32_t> done;    // [MoE layer] GPUs that are done with it
  };

  const Layout layout_;
  ExpertPredictor predictor_;
  int32_t experts_ = 0;
  std::vector<Group> groups_;
  const StepRouting* routing_ = nullptr;
  StepTokens tokens_;
  std::vector<float> one_;          // of one token
  std::vector<int32_t> likeliest_;  // what recalled() works in
};

}  // namespace moesim
