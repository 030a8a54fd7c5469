// What one step computes: prefill, decode and mixtures of both are the same thing.
#pragma once

#include <cstdint>
#include <vector>

#include "models/cost_model.h"

namespace moesim {

// Tokens that the step computes, and those that lie in the KV cache. A prefill chunk has many of the former, a decode
// step one.
using Request = RequestLength;

// The requests of each attention rank (tensor-parallel group).
struct Batch {
  std::vector<std::vector<Request>> ranks;
};

inline int64_t new_tokens(const std::vector<Request>& requests) {
  int64_t tokens = 0;
  for (const Request& request : requests) tokens += request.new_tokens;
  return tokens;
}

inline int64_t new_tokens(const Batch& batch) {
  int64_t tokens = 0;
  for (const auto& requests : batch.ranks) tokens += new_tokens(requests);
  return tokens;
}

}  // namespace moesim
