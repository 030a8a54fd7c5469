// Speculative token shuffling: before they are routed, tokens go to the GPU that hosts most of the experts that they
// are predicted to choose. Nothing is lost where a prediction is wrong: the token travels, as without it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/config/registry.h"

namespace moesim {

// What may be dealt out anew: whole requests to attention ranks before the first step, which keep their KV cache
// there; or, between attention and the gate of each layer, tokens to the GPUs of their tensor-parallel group.
enum class ShuffleUnit { requests, tokens };

struct ShuffleInput {
  int32_t ranks = 0;
  std::span<const int64_t> weight;  // [item] its tokens
  std::span<const int32_t> home;    // [item] the rank where it is without shuffling
  std::span<const float> score;     // [item * ranks + rank] choices predicted to be local there
};

// [item] its rank.
struct ShufflePolicy {
  using Input = ShuffleInput;
  using Decision = std::vector<int32_t>;
  struct Traits {
    std::optional<ShuffleUnit> unit{};  // what it deals out; none: it is not asked
  };
  static constexpr const char* kind = "shuffle";
};

}  // namespace moesim
