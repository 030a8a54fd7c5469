#include "sim/policy/placement/slot_search.h"

#include <algorithm>

#include "sim/core/check.h"
#include "sim/core/random.h"
#include "sim/moe/slot_map.h"

namespace moesim {
namespace {

// Gains below this part of the cost are rounding errors, and could be made for ever.
constexpr double kLeastGain = 1e-9;

// How many others of the expert in a slot are as near to a GPU as its own GPU, its server, its rail.
struct Crowd {
  int32_t on_gpu = 0;
  int32_t on_node = 0;
  int32_t on_rail = 0;
};

Crowd crowd_at(const SlotSearch& search, size_t slot, size_t gpu) {
  const SlotPlaces& places = *search.places;
  Crowd crowd;
  for (const size_t other : search.slots_of[size_t(search.expert[slot])]) {
    if (other == slot) continue;
    const size_t there = places.gpu[other];
    crowd.on_gpu += there == gpu;
    crowd.on_node += places.node[there] == places.node[gpu];
    crowd.on_rail += places.rail[there] == places.rail[gpu];
  }
  return crowd;
}

bool may_go(const SlotSearch& search, size_t slot, size_t gpu) {
  if (search.expert[slot] == kEmptySlot || search.slots_of[size_t(search.expert[slot])].size() == 1) return true;
  const Crowd now = crowd_at(search, slot, search.places->gpu[slot]);
  const Crowd then = crowd_at(search, slot, gpu);
  return then.on_gpu <= now.on_gpu && then.on_node <= now.on_node && then.on_rail <= now.on_rail;
}

void rename_slot(SlotSearch& search, size_t from, size_t to) {
  if (search.expert[from] == kEmptySlot) return;
  std::vector<size_t>& slots = search.slots_of[size_t(search.expert[from])];
  *std::find(slots.begin(), slots.end(), from) = to;
}

std::vector<std::vector<int32_t>> cheapest_of(std::initializer_list<const char*> policies, const PlacementInput& in,
                                              const PlacementObjective& objective, Rng& rng) {
  std::vector<Placement> placements;
  for (const char* policy : policies) placements.push_back(PolicyChoice<PlacementPolicy>(policy).decide(in, rng));
  return cheapest_layers(in, objective, placements);
}

// Random swaps that are allowed, whatever they cost.
void kick(SlotSearch& search, int32_t swaps, Rng& rng) {
  const size_t slots = search.expert.size();
  for (int32_t swap = 0; swap < swaps; ++swap) {
    const size_t a = rng.below(slots);
    const size_t b = rng.below(slots);
    if (search.places->gpu[a] != search.places->gpu[b] && may_swap(search, a, b)) swap_slots(search, a, b);
  }
}

}  // namespace

SlotPlaces slot_places(const PlacementInput& in) {
  SlotPlaces places;
  for (const GpuId gpu : gpu_of_slots(in)) places.gpu.push_back(index(gpu));
  const int32_t per_node = in.gpus_per_node > 0 ? in.gpus_per_node : in.gpus;
  for (int32_t gpu = 0; gpu < in.gpus; ++gpu) {
    places.node.push_back(gpu / per_node);
    places.rail.push_back(gpu % per_node);
  }
  return places;
}

SlotSearch slot_search(const PlacementInput& in, const SlotPlaces& places, const PlacementObjective& objective,
                       size_t layer, const std::vector<int32_t>& experts_of_slots) {
  SlotSearch search;
  search.places = &places;
  search.objective = &objective;
  search.expert = experts_of_slots;
  search.slots_of.resize(size_t(in.experts));
  for (size_t slot = 0; slot < search.expert.size(); ++slot)
    if (search.expert[slot] != kEmptySlot) search.slots_of[size_t(search.expert[slot])].push_back(slot);
  for (const int32_t expert : search.expert)
    search.load.push_back(expert == kEmptySlot ? 0
                                               : double(in.past_load[layer][size_t(expert)]) /
                                                     double(search.slots_of[size_t(expert)].size()));
  refresh(search);
  return search;
}

void refresh(SlotSearch& search) {
  std::vector<double> load(search.places->node.size(), 0);
  for (size_t slot = 0; slot < search.expert.size(); ++slot) load[search.places->gpu[slot]] += search.load[slot];
  search.cost = layer_cost(*search.objective, std::move(load));
}

bool may_swap(const SlotSearch& search, size_t a, size_t b) {
  return search.expert[a] != search.expert[b] && may_go(search, a, search.places->gpu[b]) &&
         may_go(search, b, search.places->gpu[a]);
}

void swap_slots(SlotSearch& search, size_t a, size_t b) {
  CHECK(search.places->gpu[a] != search.places->gpu[b]);
  shift(*search.objective, search.cost, search.places->gpu[a], search.places->gpu[b], search.load[a] - search.load[b]);
  rename_slot(search, a, b);
  rename_slot(search, b, a);
  std::swap(search.expert[a], search.expert[b]);
  std::swap(search.load[a], search.load[b]);
}

void descend(SlotSearch& search, int64_t& checks) {
  const PlacementObjective& objective = *search.objective;
  const std::vector<size_t>& gpu = search.places->gpu;
  const size_t slots = search.expert.size();
  LayerPeaks peaks = layer_peaks(objective, search.cost);
  size_t without_gain = 0;  // slots in a row
  for (size_t a = 0; without_gain < slots && checks > 0; a = (a + 1) % slots) {
    double best = search.cost.value * (1 - kLeastGain);
    size_t partner = a;
    for (size_t b = 0; b < slots; ++b) {
      const double tokens = search.load[a] - search.load[b];
      if (gpu[a] == gpu[b] || tokens == 0) continue;
      if (bound_after_shift(objective, search.cost, peaks, gpu[a], gpu[b], tokens) >= best) continue;
      const double after = cost_after_shift(objective, search.cost, gpu[a], gpu[b], tokens);
      if (after >= best || !may_swap(search, a, b)) continue;
      best = after;
      partner = b;
    }
    checks -= int64_t(slots);
    ++without_gain;
    if (partner == a) continue;
    swap_slots(search, a, partner);
    peaks = layer_peaks(objective, search.cost);
    without_gain = 0;
  }
}

void descend_again(SlotSearch& search, const Restarts& options, Rng& rng) {
  int64_t checks = options.checks;
  descend(search, checks);
  SlotSearch best = search;
  for (int32_t restart = 0; restart < options.restarts && checks > 0; ++restart) {
    kick(search, options.kick, rng);
    refresh(search);
    descend(search, checks);
    if (search.cost.value < best.cost.value)
      best = search;
    else
      search = best;
  }
  search = std::move(best);
}

std::vector<std::vector<int32_t>> cheapest_layers(const PlacementInput& in, const PlacementObjective& objective,
                                                  const std::vector<Placement>& placements) {
  CHECK(!placements.empty());
  std::vector<std::vector<int32_t>> layers(size_t(in.layers));
  std::vector<double> least(size_t(in.layers), 0);
  for (const Placement& placement : placements) {
    std::vector<std::vector<int32_t>> slots = slot_map(placement, slots_of_gpus(in));
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      const double value =
          layer_cost(objective, gpu_loads(placement.hosts[layer], in.past_load[layer], size_t(in.gpus))).value;
      if (!layers[layer].empty() && value >= least[layer]) continue;
      layers[layer] = std::move(slots[layer]);
      least[layer] = value;
    }
  }
  return layers;
}

Placement search_layers(const PlacementInput& in, const SearchLayer& search, Rng& rng) {
  const PlacementObjective objective = placement_objective(in);
  const SlotPlaces places = slot_places(in);
  std::vector<std::vector<std::vector<int32_t>>> starts{cheapest_of({"contiguous", "lpt"}, in, objective, rng)};
  if (slots_total(in) > in.experts) starts.push_back(cheapest_of({"eplb", "replicated"}, in, objective, rng));
  std::vector<Placement> ends;
  for (std::vector<std::vector<int32_t>>& layers : starts) {
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      SlotSearch state = slot_search(in, places, objective, layer, layers[layer]);
      search(state);
      layers[layer] = std::move(state.expert);
    }
    ends.push_back(placement_of(layers, slots_of_gpus(in), in.experts));
  }
  return placement_of(cheapest_layers(in, objective, ends), slots_of_gpus(in), in.experts);
}

}  // namespace moesim
