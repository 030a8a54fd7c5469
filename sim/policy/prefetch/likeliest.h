// What prefetch policies share: the experts of a layer by falling forecast, and how many copies a window has room for.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/moe/offload/prefetch.h"

namespace moesim {

// Copies that are done before the next layer's experts begin.
int64_t copies_in_window(const PrefetchInput& in);

// Choices of all tokens together: no layer needs more experts.
int64_t experts_needed_most(const PrefetchInput& in);

inline ExpertItem item_of(const PrefetchInput& in, int32_t layer, int32_t expert) {
  return layer * in.experts + expert;
}

// The later layers that are at most so many ahead are those before this one.
int32_t layers_end(const PrefetchInput& in, int32_t layers_ahead);

// Experts of a layer that are the GPU's own and of which anything is expected, the likeliest first, the lowest of
// equals; no more than `most` and than fit the layer's part of the cache.
void rank_by(const PrefetchInput& in, int32_t layer, std::span<const float> expected, int64_t most,
             std::vector<int32_t>& ranked);

// By the scenario's prediction.
void rank_experts(const PrefetchInput& in, int32_t layer, int64_t most, std::vector<int32_t>& ranked);

// Puts those of an order that are not present at the end of what is wanted, until that has `longest` entries.
void want_absent(const PrefetchInput& in, int32_t layer, std::span<const int32_t> ranked, int64_t longest,
                 std::vector<ExpertItem>& wanted);

}  // namespace moesim
