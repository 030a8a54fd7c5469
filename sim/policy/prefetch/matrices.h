// Activation matrices: which part of a request's choices in each layer went to each expert. A collection of those of
// past requests is learnt once; the present one is compared with them, and the most similar tells what comes.
#pragma once

#include <cstdint>
#include <span>

#include "sim/config/fields.h"
#include "sim/moe/offload/prefetch.h"

namespace moesim {

struct MatrixOptions {
  int32_t matrices = 64;
  int32_t run = 64;
  double memory = 0.9;
};

template <class Visitor>
void matrix_fields(Visitor& v, MatrixOptions& s) {
  v.optional("matrices", s.matrices, between(1, 10'000),
             "past requests that are kept; where there are more, each next one is that least like those kept so far");
  v.optional("run", s.run, between(1, 1'000'000), "tokens that stand for a request where requests are not recorded");
  v.optional("memory", s.memory, between(0.0, 1.0),
             "what the steps before count in the present matrix; 0: each step is matched alone");
}

struct MatrixMatch {
  std::span<const float> matrix;  // [item] parts, which sum to 1 in each layer that was recorded
  double score = 0;               // cosine over the layers that the present one has gone through; 0 where there is none
};

// Learns where the state is empty, takes note of the layer's experts, and finds the best match, the first of equals.
// Before anything was seen it is the mean of the collection.
MatrixMatch match_matrix(PrefetchState& state, const PrefetchInput& in, const MatrixOptions& options);

}  // namespace moesim
