// Shadowing: the most loaded experts get a copy on every GPU, one expert after another, as long as the largest load
// falls and every GPU has a slot for it. Their tokens then need not travel, where the nearest copy serves them.

#include <algorithm>
#include <numeric>

#include "sim/moe/placement_cost.h"

namespace moesim {
namespace {

struct ShadowingOptions {
  int64_t weight_tokens = 0;
};

template <class Visitor>
void fields(Visitor& v, ShadowingOptions& s) {
  v.optional("weight_tokens", s.weight_tokens, between(int64_t{0}, int64_t{1'000'000'000'000'000}),
             "routed tokens that a GPU computes in the time that the weights of a shadowed expert take to arrive; 0 "
             "where they stay there");
}

struct Shadowing {
  std::vector<std::vector<GpuId>> hosts;
  std::vector<double> load;   // [gpu]
  std::vector<int32_t> used;  // [gpu] slots
};

bool has_room(const PlacementInput& in, const Shadowing& state, size_t home) {
  for (size_t gpu = 0; gpu < state.used.size(); ++gpu)
    if (gpu != home && state.used[gpu] >= slots_of(in, gpu)) return false;
  return true;
}

std::vector<std::vector<GpuId>> shadow_layer(const PlacementInput& in, const std::vector<int64_t>& past_load,
                                             const std::vector<GpuId>& homes, int64_t weight_tokens) {
  const size_t gpus = size_t(in.gpus);
  Shadowing state{{}, std::vector<double>(gpus, 0), std::vector<int32_t>(gpus, 0)};
  for (size_t expert = 0; expert < homes.size(); ++expert) {
    state.hosts.push_back({homes[expert]});
    state.load[index(homes[expert])] += double(past_load[expert]);
    ++state.used[index(homes[expert])];
  }
  std::vector<size_t> heaviest_first(past_load.size());
  std::iota(heaviest_first.begin(), heaviest_first.end(), size_t{0});
  std::stable_sort(heaviest_first.begin(), heaviest_first.end(),
                   [&](size_t a, size_t b) { return past_load[a] > past_load[b]; });
  for (const size_t expert : heaviest_first) {
    const size_t home = index(homes[expert]);
    if (!has_room(in, state, home)) break;
    std::vector<double> load = state.load;
    load[home] -= double(past_load[expert]);
    for (double& gpu : load) gpu += double(past_load[expert]) / double(gpus);
    if (*std::max_element(load.begin(), load.end()) + double(weight_tokens) >=
        *std::max_element(state.load.begin(), state.load.end()))
      break;
    state.load = std::move(load);
    state.hosts[expert].clear();
    for (size_t gpu = 0; gpu < gpus; ++gpu) {
      state.hosts[expert].push_back(GpuId(gpu));
      state.used[gpu] += gpu != home;
    }
  }
  return state.hosts;
}

Placement place_shadowing(const PlacementInput& in, const ShadowingOptions& options, Rng&) {
  const std::vector<GpuId> homes = contiguous_gpus(in);
  Placement placement;
  for (const std::vector<int64_t>& past_load : in.past_load)
    placement.hosts.push_back(shadow_layer(in, past_load, homes, options.weight_tokens));
  return placement;
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "shadowing", "copies of the most loaded experts on every GPU, as long as the largest load falls", place_shadowing,
    {PlacementNeeds::costs});

}  // namespace
}  // namespace moesim
