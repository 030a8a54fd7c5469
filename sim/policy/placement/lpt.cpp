// LPT for GPUs that differ: heaviest expert first, each to the GPU that would be done with it first, by its speed and
// what it has already, where a slot is free.

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/moe/placement_cost.h"

namespace moesim {
namespace {

std::vector<std::vector<GpuId>> place_layer(const PlacementInput& in, const std::vector<double>& token_s,
                                            const std::vector<int64_t>& past_load) {
  std::vector<size_t> heaviest_first(past_load.size());
  std::iota(heaviest_first.begin(), heaviest_first.end(), size_t{0});
  std::stable_sort(heaviest_first.begin(), heaviest_first.end(),
                   [&](size_t a, size_t b) { return past_load[a] > past_load[b]; });
  std::vector<std::vector<GpuId>> hosts(past_load.size());
  std::vector<double> busy(token_s.size(), 0);
  std::vector<int32_t> used(token_s.size(), 0);
  for (const size_t expert : heaviest_first) {
    const auto done = [&](size_t gpu) { return busy[gpu] + double(past_load[expert]) * token_s[gpu]; };
    size_t best = token_s.size();
    for (size_t gpu = 0; gpu < token_s.size(); ++gpu)
      if (used[gpu] < slots_of(in, gpu) && (best == token_s.size() || done(gpu) < done(best))) best = gpu;
    CHECK(best < token_s.size());
    hosts[expert] = {GpuId(best)};
    busy[best] = done(best);
    ++used[best];
  }
  return hosts;
}

Placement place_lpt(const PlacementInput& in, const NoOptions&, Rng&) {
  CHECK(in.experts <= slots_total(in));
  const std::vector<double> token_s =
      in.costs.token_s.empty() ? std::vector<double>(size_t(in.gpus), 1) : in.costs.token_s;
  Placement placement;
  for (const std::vector<int64_t>& past_load : in.past_load)
    placement.hosts.push_back(place_layer(in, token_s, past_load));
  return placement;
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "lpt", "heaviest expert first, to the GPU that would be done with it first, by its speed", place_lpt,
    {PlacementNeeds::costs});

}  // namespace
}  // namespace moesim
