// SmartMoE's online step: heaviest expert first, each to the least loaded GPU with a free slot, on ties to the one that
// has it already; the result is taken only in layers whose largest load it lowers. What there was is contiguous.

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/moe/placement_cost.h"

namespace moesim {
namespace {

std::vector<std::vector<GpuId>> rebalance(const PlacementInput& in, const std::vector<int64_t>& past_load,
                                          const std::vector<GpuId>& old) {
  std::vector<size_t> heaviest_first(past_load.size());
  std::iota(heaviest_first.begin(), heaviest_first.end(), size_t{0});
  std::stable_sort(heaviest_first.begin(), heaviest_first.end(),
                   [&](size_t a, size_t b) { return past_load[a] > past_load[b]; });
  std::vector<int64_t> load(size_t(in.gpus), 0);
  std::vector<int32_t> used(size_t(in.gpus), 0);
  std::vector<std::vector<GpuId>> hosts(past_load.size());
  for (const size_t expert : heaviest_first) {
    size_t best = load.size();
    for (size_t gpu = 0; gpu < load.size(); ++gpu) {
      if (used[gpu] >= slots_of(in, gpu)) continue;
      const bool is_old = gpu == index(old[expert]);
      if (best == load.size() || load[gpu] < load[best] || (load[gpu] == load[best] && is_old)) best = gpu;
    }
    CHECK(best < load.size());
    hosts[expert] = {GpuId(best)};
    load[best] += past_load[expert];
    ++used[best];
  }
  return hosts;
}

double largest_load(const PlacementInput& in, const Placement& placement, size_t layer) {
  const std::vector<double> load = gpu_loads(placement.hosts[layer], in.past_load[layer], size_t(in.gpus));
  return *std::max_element(load.begin(), load.end());
}

Placement place_smartmoe(const PlacementInput& in, const NoOptions&, Rng&) {
  Placement placement = contiguous_placement(in);
  const std::vector<GpuId> old = contiguous_gpus(in);
  Placement greedy;
  for (const std::vector<int64_t>& past_load : in.past_load) greedy.hosts.push_back(rebalance(in, past_load, old));
  for (size_t layer = 0; layer < placement.hosts.size(); ++layer)
    if (largest_load(in, greedy, layer) < largest_load(in, placement, layer))
      placement.hosts[layer] = std::move(greedy.hosts[layer]);
  return placement;
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "smartmoe", "greedy by load, taken in layers where it beats contiguous blocks", place_smartmoe,
    {PlacementNeeds::costs});

}  // namespace
}  // namespace moesim
