// Slots filled with experts and their copies, spread over the topology.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/policy/placement/slot_search.h"

namespace moesim {

// [expert] copies: one each, then one more of the expert with the highest load a copy, at most one a GPU.
std::vector<int32_t> copies_of(std::span<const double> load, int64_t slots, int32_t gpus);

// One layer: [expert] its GPUs. By falling load a copy, all copies of an expert after each other, on different GPUs
// first, then on the servers and rails with the fewest of them, then on the GPU that would be done first.
std::vector<std::vector<GpuId>> fill_layer(const PlacementInput& in, const SlotPlaces& places,
                                           const std::vector<double>& token_s, std::span<const double> load,
                                           std::span<const int32_t> copies);

}  // namespace moesim
