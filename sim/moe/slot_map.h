// A placement as serving engines hold it: which expert lies in each slot of each GPU.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/moe/placement.h"

namespace moesim {

// [layer][slot] the expert that it holds, or kEmptySlot; slots are numbered GPU after GPU.
using SlotMap = std::vector<std::vector<int32_t>>;

// Slots of each GPU in one layer.
std::vector<int32_t> slots_of_gpus(const PlacementInput& in);

// As the policy fixed it, else each GPU's experts in order and then empty slots.
SlotMap slot_map(const Placement& placement, std::span<const int32_t> slots);

// The reverse, for that many experts; each must be in the map.
Placement placement_of(const SlotMap& map, std::span<const int32_t> slots, int32_t experts);

// Load of each GPU in a layer, where the copies of an expert share its load evenly.
std::vector<double> gpu_loads(std::span<const int32_t> row, std::span<const int32_t> slots,
                              std::span<const int64_t> expert_load);

// 1 where nothing is loaded.
double max_over_mean(std::span<const double> loads);

// The least that the largest load of a GPU can be over the mean, whatever the placement: the LP in which an expert may
// be split over as many GPUs as it can have copies. max(mean, largest expert / its possible copies) / mean.
double relaxed_max_over_mean(std::span<const int64_t> expert_load, int32_t gpus, int64_t slots);

}  // namespace moesim
