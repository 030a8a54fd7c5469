// Simulated annealing on the past's cost: random swaps, dearer ones accepted ever more rarely, from the best of simple
// placements; the best state met is the answer, after swaps that still pay.

#include <algorithm>

#include "sim/core/math.h"
#include "sim/core/random.h"
#include "sim/moe/placement_cost.h"
#include "sim/policy/placement/slot_search.h"

namespace moesim {
namespace {

struct AnnealingOptions {
  int64_t iterations = 20'000;
  double hot = 0.02;
  double cold = 1e-5;
};

template <class Visitor>
void fields(Visitor& v, AnnealingOptions& s) {
  v.optional("iterations", s.iterations, between(int64_t{0}, int64_t{1'000'000'000'000}), "swaps to try in each layer");
  v.optional("hot", s.hot, between(1e-9, 10.0),
             "temperature at first, as part of the layer's cost: swaps this much dearer are taken once in e times");
  v.optional("cold", s.cold, between(1e-12, 10.0), "and at the end; between them it falls by a constant factor");
}

// Rounding errors of this many shifts are far below any temperature.
constexpr int64_t kFreshEvery = 1024;
constexpr int64_t kLastSweeps = 16;  // over all pairs, for the swaps that still pay at the end

// Ends with the best experts of slots that it met.
void anneal(SlotSearch& search, const AnnealingOptions& options, Rng& rng) {
  const std::vector<size_t>& gpu = search.places->gpu;
  const size_t slots = search.expert.size();
  std::vector<int32_t> best = search.expert;
  double least = search.cost.value;
  double temperature = options.hot * search.cost.value;
  const double cooling =
      exact_exp(exact_log(options.cold / options.hot) / double(std::max(options.iterations, int64_t{1})));
  for (int64_t iteration = 0; iteration < options.iterations; ++iteration, temperature *= cooling) {
    if (iteration % kFreshEvery == 0) refresh(search);
    const size_t a = rng.below(slots);
    const size_t b = rng.below(slots);
    const double tokens = search.load[a] - search.load[b];
    if (gpu[a] == gpu[b] || tokens == 0) continue;
    const double rise = cost_after_shift(*search.objective, search.cost, gpu[a], gpu[b], tokens) - search.cost.value;
    if (rise > 0 && rng.uniform() >= exact_exp(-rise / temperature)) continue;
    if (!may_swap(search, a, b)) continue;
    swap_slots(search, a, b);
    if (search.cost.value >= least) continue;
    least = search.cost.value;
    best = search.expert;
  }
  search.expert = std::move(best);
}

std::vector<int32_t> search_layer(const PlacementInput& in, const SlotPlaces& places,
                                  const PlacementObjective& objective, size_t layer, const std::vector<int32_t>& start,
                                  const AnnealingOptions& options, Rng& rng) {
  SlotSearch search = slot_search(in, places, objective, layer, start);
  anneal(search, options, rng);
  search = slot_search(in, places, objective, layer, search.expert);
  int64_t checks = int64_t(start.size()) * int64_t(start.size()) * kLastSweeps;
  descend(search, checks);
  return search.expert;
}

Placement place_annealing(const PlacementInput& in, const AnnealingOptions& options, Rng& rng) {
  const PlacementObjective objective = placement_objective(in);
  const SlotPlaces places = slot_places(in);
  std::vector<Placement> starts;
  for (const char* policy : {"contiguous", "lpt", "eplb", "replicated"})
    starts.push_back(placement_by(policy, in, rng));
  std::vector<std::vector<int32_t>> layers = cheapest_layers(in, objective, starts);
  for (size_t layer = 0; layer < layers.size(); ++layer)
    layers[layer] = search_layer(in, places, objective, layer, layers[layer], options, rng);
  return placement_of_slots(in, std::move(layers));
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "annealing", "random swaps on the cost of the past, dearer ones ever more rarely, from the best simple placement",
    place_annealing);

}  // namespace
}  // namespace moesim
