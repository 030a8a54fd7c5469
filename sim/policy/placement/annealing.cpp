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

// Ends with the best state that it met.
void anneal(SlotSearch& search, const AnnealingOptions& options, Rng& rng) {
  const std::vector<size_t>& gpu = search.places->gpu;
  const size_t slots = search.expert.size();
  std::vector<int32_t> best = search.expert;
  std::vector<double> best_load = search.load;
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
    best_load = search.load;
  }
  for (std::vector<size_t>& slots_of : search.slots_of) slots_of.clear();
  for (size_t slot = 0; slot < slots; ++slot)
    if (best[slot] != kEmptySlot) search.slots_of[size_t(best[slot])].push_back(slot);
  search.expert = std::move(best);
  search.load = std::move(best_load);
  refresh(search);
}

Placement place_annealing(const PlacementInput& in, const AnnealingOptions& options, Rng& rng) {
  const auto search = [&](SlotSearch& state) {
    anneal(state, options, rng);
    const int64_t slots = int64_t(state.expert.size());
    int64_t checks = slots * slots * kLastSweeps;
    descend(state, checks);
  };
  return search_layers(in, search, rng);
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "annealing", "random swaps on the cost of the past, dearer ones ever more rarely, from the best simple placement",
    place_annealing, {PlacementNeeds::costs});

}  // namespace
}  // namespace moesim
