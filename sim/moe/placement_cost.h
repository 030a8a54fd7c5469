// What a placement costs by the past loads, and what moving load between GPUs would change: made for searches, which
// ask it a hundred thousand times a layer.
//
// Tokens come from all GPUs of the group evenly, and an expert's tokens are split over its copies evenly. Then the
// bytes of a link are linear in the loads of the GPUs that it leads to or from: a table of coefficients says it all.
// Links that can never be the busiest alone, since another carries the same at a lower rate or more, have no row in it.
//
// The cost of a layer is the seconds of the busiest GPU's products, plus those of the busiest link in the dispatch and
// in the combine. Where the input gives no costs, it is the largest load of a GPU over the mean.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/moe/placement.h"

namespace moesim {

// [gpu * rows + row]: seconds that a token for this GPU adds to the link of this row.
struct LinkTable {
  size_t rows = 0;
  std::vector<double> seconds;
};

struct PlacementObjective {
  std::vector<double> token_s;  // [gpu] seconds a token; without costs 1, and the cost is divided by the mean load
  LinkTable dispatch;
  LinkTable combine;
  bool in_seconds = false;
};

PlacementObjective placement_objective(const PlacementInput& in);

// One layer under search: the loads of its GPUs and what follows from them.
struct LayerCost {
  double scale = 1;              // of the cost: 1 over the mean load where it is not in seconds
  std::vector<double> load;      // [gpu] tokens
  std::vector<double> dispatch;  // [row] seconds
  std::vector<double> combine;   // [row] seconds
  double value = 0;              // the cost
};

LayerCost layer_cost(const PlacementObjective& objective, std::vector<double> load);

// The cost if `tokens` of load went from one GPU to another: of an expert that moves, or of two that swap by the
// difference of their loads. Allocates nothing. O(gpus + rows).
double cost_after_shift(const PlacementObjective& objective, const LayerCost& cost, size_t from, size_t to,
                        double tokens);

// A bound of that from below in O(1), which most shifts that gain nothing already fail: what remains of the peaks.
struct LayerPeaks {
  size_t gpu = 0;  // the busiest
  size_t dispatch = 0;
  size_t combine = 0;
};
LayerPeaks layer_peaks(const PlacementObjective& objective, const LayerCost& cost);
double bound_after_shift(const PlacementObjective& objective, const LayerCost& cost, const LayerPeaks& peaks,
                         size_t from, size_t to, double tokens);

// Carries the shift out. Rounding errors add up over many: layer_cost() of the loads begins anew.
void shift(const PlacementObjective& objective, LayerCost& cost, size_t from, size_t to, double tokens);

// [gpu] tokens of a layer by its hosts [expert] and its load [expert], each expert's split over its copies evenly.
std::vector<double> gpu_loads(std::span<const std::vector<GpuId>> hosts, std::span<const int64_t> load, size_t gpus);

// The sum over all layers.
double placement_cost(const PlacementInput& in, const Placement& placement);

// No placement with these numbers of copies has a smaller largest load: the mean, and the largest expert's load a copy.
// It is the optimum of the linear relaxation that lets each copy's tokens be divided among GPUs of equal speed.
double load_bound(const PlacementInput& in, const Placement& placement, size_t layer);

}  // namespace moesim
