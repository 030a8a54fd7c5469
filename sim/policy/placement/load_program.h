// Placements of one layer that minimise a cost which is linear in the loads of the GPUs: their own time, and that of
// links. Experts may have copies where there are spare slots; their tokens are split over the copies evenly.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sim/moe/placement_cost.h"
#include "sim/policy/placement/program_options.h"

namespace moesim {

// Of the products alone: seconds where costs are given, else loads over the mean load of this layer.
PlacementObjective product_costs(const PlacementInput& in, size_t layer);

using LayerHosts = std::vector<std::vector<GpuId>>;  // [expert]

double cost_of_hosts(const PlacementObjective& costs, const std::vector<int64_t>& load, const LayerHosts& hosts);

// [expert] how many copies it gets where the largest share of an expert's load is to be as small as it can be; at most
// one a GPU.
std::vector<int32_t> copies_by_load(const PlacementInput& in, const std::vector<int64_t>& load);

// The best that greedy rules and swaps find, starting from contiguous and from the heaviest expert first.
LayerHosts heuristic_hosts(const PlacementInput& in, const PlacementObjective& costs, const std::vector<int64_t>& load);

// No hosts cost less: the load spread over GPUs as it likes, and the largest share of an expert that copies leave.
// Links are not looked at.
double bound_of_products(const PlacementInput& in, const PlacementObjective& costs, const std::vector<int64_t>& load);

// Of one layer: the heuristic where it is proved to be within the gap, else what the integer program finds from there.
// Where that would be too large, its relaxation with the load of each GPU as one column still gives a bound.
struct LayerAnswer {
  LayerHosts hosts;
  PlacementProof proof;
};
LayerAnswer solve_layer(const PlacementInput& in, const PlacementObjective& costs, size_t layer,
                        const ProgramOptions& options);

// Layer by layer.
Placement place_by_load(const PlacementInput& in, const ProgramOptions& options,
                        const std::function<PlacementObjective(size_t layer)>& costs_of);

}  // namespace moesim
