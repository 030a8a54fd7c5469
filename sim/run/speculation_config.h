// Settings of speculation: experts are predicted before tokens are routed, and tokens go where their experts are.
#pragma once

#include <cstdint>

#include "sim/config/fields.h"
#include "sim/config/registry.h"
#include "sim/core/units.h"
#include "sim/moe/batching.h"
#include "sim/moe/prediction.h"
#include "sim/moe/shuffle.h"

namespace moesim {

struct SpeculationConfig {
  PolicyChoice<ShufflePolicy> shuffle{"none"};
  PolicyChoice<PredictionPolicy> prediction{"combined"};
  PolicyChoice<BatchingPolicy> batching{"in_order"};
  int32_t window = 1;
  Percentage overhead{0.01};  // of Speculative MoE's fused kernels, arXiv 2503.04398
};

template <class Visitor>
void fields(Visitor& v, SpeculationConfig& s) {
  v.optional("shuffle", s.shuffle, "which requests or tokens go to another GPU before they are routed");
  v.optional("prediction", s.prediction, "how the experts of tokens are predicted; it learns from the training part");
  v.optional("batching", s.batching, "which requests of a window of steps are computed together");
  v.optional("window", s.window, between(1, 1024), "steps whose requests are batched anew; they must divide the steps");
  v.optional("overhead", s.overhead, between(Percentage{0}, Percentage{10}),
             "of a reduce-scatter or all-gather that hands out tokens in another order, part of its bytes");
}

}  // namespace moesim
