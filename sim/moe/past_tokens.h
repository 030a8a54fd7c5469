// Tokens that have been routed: what predictors and placements learn from.
#pragma once

#include <cstdint>
#include <span>

namespace moesim {

// Spans of a trace, which must outlive it. Layers beyond the recorded ones repeat them, choices beyond the model's k
// are cut.
struct PastTokens {
  int64_t tokens = 0;
  int32_t top_k = 0;  // of the model
  int32_t recorded_layers = 0;
  int32_t recorded_top_k = 0;
  std::span<const uint16_t> ids;     // [token][recorded layer][recorded k]
  std::span<const int32_t> token;    // id in the vocabulary; empty where it was not recorded
  std::span<const int32_t> request;  // the request it belongs to; empty where it was not recorded
  std::span<const int32_t> domain;   // kind of text; empty where it was not recorded

  std::span<const uint16_t> choices(int64_t of_token, int32_t layer) const {
    const int64_t row = of_token * recorded_layers + layer % recorded_layers;
    return ids.subspan(size_t(row * recorded_top_k), size_t(top_k));
  }
};

}  // namespace moesim
