// Which of the waiting requests are computed together, judged by the experts that they are predicted to need.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sim/config/registry.h"

namespace moesim {

// Requests of a window of `batches` steps, all alike but for their tokens; each step takes as many.
struct BatchingInput {
  int64_t requests = 0;
  int32_t batches = 0;
  int32_t layers = 0;
  int32_t experts = 0;
  // [(request * layers + layer) * experts + expert] choices predicted for a token of the request, mean. It takes time:
  // only who needs it asks.
  const std::function<std::vector<float>()>& expected;
};

// [request] its batch. Each batch gets requests / batches of them.
struct BatchingPolicy {
  using Input = BatchingInput;
  using Decision = std::vector<int32_t>;
  static constexpr const char* kind = "batching";
};

// CHECKs that batches are in range and equal in number of requests.
void check_batches(const std::vector<int32_t>& batch_of, const BatchingInput& in);

}  // namespace moesim
