// Greedy placement: heaviest expert first, each to the GPU with the least load and a free slot.
// Graham's LPT rule; within 4/3 of the best makespan when slots do not bind.

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/moe/placement.h"

namespace moesim {
namespace {

size_t least_loaded_with_space(const PlacementInput& in, const std::vector<int64_t>& load,
                               const std::vector<int32_t>& used) {
  size_t best = load.size();
  for (size_t gpu = 0; gpu < load.size(); ++gpu)  // ties go by GPU number
    if (used[gpu] < slots_of(in, gpu) && (best == load.size() || load[gpu] < load[best])) best = gpu;
  CHECK(best < load.size());
  return best;
}

std::vector<std::vector<GpuId>> place_layer(const PlacementInput& in, const std::vector<int64_t>& past_load) {
  std::vector<size_t> heaviest_first(past_load.size());
  std::iota(heaviest_first.begin(), heaviest_first.end(), size_t{0});
  std::stable_sort(heaviest_first.begin(), heaviest_first.end(),  // stable: ties go by expert id
                   [&](size_t a, size_t b) { return past_load[a] > past_load[b]; });

  std::vector<std::vector<GpuId>> hosts(past_load.size());
  std::vector<int64_t> load(size_t(in.gpus), 0);
  std::vector<int32_t> used(size_t(in.gpus), 0);
  for (const size_t expert : heaviest_first) {
    const size_t gpu = least_loaded_with_space(in, load, used);
    hosts[expert] = {GpuId(gpu)};
    load[gpu] += past_load[expert];
    ++used[gpu];
  }
  return hosts;
}

Placement place_greedy(const PlacementInput& in, const NoOptions&, Rng&) {
  CHECK(in.experts <= slots_total(in));
  Placement placement;
  for (const std::vector<int64_t>& past_load : in.past_load) placement.hosts.push_back(place_layer(in, past_load));
  return placement;
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "greedy", "heaviest expert first, to the least loaded GPU", place_greedy, {PlacementNeeds::loads});

}  // namespace
}  // namespace moesim
