#include <algorithm>

#include "sim/core/random.h"
#include "sim/moe/slot_map.h"
#include "sim/policy/placement/assignment_program.h"
#include "sim/policy/placement/load_program.h"
#include "sim/policy/placement/slot_search.h"

namespace moesim {
namespace {

// The largest shares first, each to the GPU with a free slot and without this expert where it ends earliest. Empty
// where the last copies find no GPU that lacks their expert.
LayerHosts place_shares(const PlacementInput& in, const PlacementObjective& costs, const std::vector<int64_t>& load,
                        const std::vector<int32_t>& copies) {
  std::vector<size_t> pieces;
  for (size_t expert = 0; expert < load.size(); ++expert) pieces.insert(pieces.end(), size_t(copies[expert]), expert);
  const auto share_of = [&](size_t expert) { return double(load[expert]) / copies[expert]; };
  std::stable_sort(pieces.begin(), pieces.end(), [&](size_t a, size_t b) { return share_of(a) > share_of(b); });
  LayerHosts hosts(load.size());
  std::vector<double> loads(costs.token_s.size(), 0);
  std::vector<int32_t> used(costs.token_s.size(), 0);
  for (const size_t expert : pieces) {
    size_t best = loads.size();
    const auto end = [&](size_t gpu) { return costs.token_s[gpu] * (loads[gpu] + share_of(expert)); };
    for (size_t gpu = 0; gpu < loads.size(); ++gpu) {
      const bool is_there = std::find(hosts[expert].begin(), hosts[expert].end(), GpuId(gpu)) != hosts[expert].end();
      if (used[gpu] < slots_of(in, gpu) && !is_there && (best == loads.size() || end(gpu) < end(best))) best = gpu;
    }
    if (best == loads.size()) return {};
    hosts[expert].push_back(GpuId(best));
    loads[best] += share_of(expert);
    ++used[best];
  }
  for (std::vector<GpuId>& gpus : hosts) std::sort(gpus.begin(), gpus.end());
  return hosts;
}

}  // namespace

LayerHosts heuristic_hosts(const PlacementInput& in, const PlacementObjective& costs,
                           const std::vector<int64_t>& load) {
  std::vector<LayerHosts> starts(1);
  for (const GpuId gpu : contiguous_gpus(in)) starts[0].push_back({gpu});
  starts.push_back(place_shares(in, costs, load, std::vector<int32_t>(load.size(), 1)));
  if (slots_total(in) > in.experts) starts.push_back(place_shares(in, costs, load, copies_by_load(in, load)));
  PlacementInput alone;
  alone.layers = 1;
  alone.experts = in.experts;
  alone.gpus = in.gpus;
  alone.gpus_per_node = in.gpus_per_node;
  alone.slots_per_gpu = in.slots_per_gpu;
  alone.slots = in.slots;
  alone.past_load = {load};
  const std::vector<int32_t> slots = slots_of_gpus(alone);
  const SlotPlaces places = slot_places(alone);
  LayerHosts best;
  double least = kNoEnd;
  Rng rng(1);
  for (LayerHosts& start : starts) {
    if (start.empty()) continue;
    SlotSearch search = slot_search(alone, places, costs, 0, slot_map(Placement{{start}, {}}, slots)[0]);
    descend_again(search, Restarts{}, rng);
    if (search.cost.value >= least * (1 - 1e-12)) continue;
    least = search.cost.value;
    best = placement_of(SlotMap{search.expert}, slots, in.experts).hosts[0];
  }
  return best;
}

}  // namespace moesim
