// Search for a better placement of one layer by swapping what two slots of different GPUs hold: two experts, or one and
// nothing. Layers do not depend on each other by this cost, so each is searched alone.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sim/moe/placement.h"
#include "sim/moe/placement_cost.h"

namespace moesim {

// Where slots lie, which all layers have in common. GPUs of one place in their servers are a rail.
struct SlotPlaces {
  std::vector<size_t> gpu;    // [slot]
  std::vector<int32_t> node;  // [gpu]
  std::vector<int32_t> rail;  // [gpu]
};

SlotPlaces slot_places(const PlacementInput& in);

// A layer under search.
struct SlotSearch {
  const SlotPlaces* places = nullptr;
  const PlacementObjective* objective = nullptr;
  std::vector<int32_t> expert;                // [slot], or kEmptySlot
  std::vector<double> load;                   // [slot] tokens
  std::vector<std::vector<size_t>> slots_of;  // [expert]
  LayerCost cost;
};

SlotSearch slot_search(const PlacementInput& in, const SlotPlaces& places, const PlacementObjective& objective,
                       size_t layer, const std::vector<int32_t>& experts_of_slots);

// A copy of an expert never goes where it has more of its like on the GPU, the server or the rail than where it is.
bool may_swap(const SlotSearch& search, size_t a, size_t b);

// The slots are on different GPUs.
void swap_slots(SlotSearch& search, size_t a, size_t b);

// The cost again from the slots, without the rounding errors of the shifts since.
void refresh(SlotSearch& search);

// Swaps as long as one makes the layer cheaper, for each slot the best of its swaps. Stops early when `checks`, the
// number of pairs looked at that is still allowed, reaches 0.
void descend(SlotSearch& search, int64_t& checks);

// The same again and again, from the best so far with a few random swaps, which are made whatever they cost.
struct Restarts {
  int64_t checks = 4'000'000;  // in all
  int32_t restarts = 8;
  int32_t kick = 4;  // swaps
};
void descend_again(SlotSearch& search, const Restarts& options, Rng& rng);

// For each layer what the cheapest of these placements has in its slots; the first of equals.
std::vector<std::vector<int32_t>> cheapest_layers(const PlacementInput& in, const PlacementObjective& objective,
                                                  const std::vector<Placement>& placements);

// Searches each layer from the cheapest of simple placements without copies and, where slots are spare, from the
// cheapest with copies in all of them, and takes the cheaper end: a copy that takes an even share where the load is
// high can be worse than none, and swaps cannot remove it.
using SearchLayer = std::function<void(SlotSearch&)>;
Placement search_layers(const PlacementInput& in, const SearchLayer& search, Rng& rng);

}  // namespace moesim
