// What pairs of experts cost that tokens use together or one after the other, by how far apart the two lie.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/moe/placement.h"

namespace moesim {

// [gpu * gpus + other] as the input's costs say; else 0 on one GPU, 1 on one server, 2 between servers.
std::vector<double> gpu_distances(const PlacementInput& in);

// [gpu] experts of a layer it takes where they are spread evenly: a share in proportion to its slots, rounded up.
std::vector<int32_t> even_room(const PlacementInput& in);

// Sum over tokens and layers of the distance that a token goes from each of its experts to each of the next layer.
// Where experts have copies, the mean over these. 0 without transitions.
double transition_cost(const PlacementInput& in, const Placement& placement);

// Sum over tokens and layers of the distances between each two of its experts.
double together_cost(const PlacementInput& in, const Placement& placement);

}  // namespace moesim
