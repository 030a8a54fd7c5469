// The cheapest assignment of items to places with room for several each: what an expert costs on each GPU is known,
// and the experts of a layer do not disturb each other.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moesim {

// [item] its place. cost[item * places + place]; the room must do for all items. Exact, by shortest augmenting paths:
// O(items^2 * places). Of equal answers one that depends on the input alone.
std::vector<size_t> cheapest_assignment(std::span<const double> cost, std::span<const int32_t> room);

}  // namespace moesim
