// Local search on the past's cost: from the best of simple placements, swaps between GPUs as long as one pays, and then
// again from the best found with a few random swaps.

#include "sim/core/random.h"
#include "sim/moe/placement_cost.h"
#include "sim/policy/placement/slot_search.h"

namespace moesim {
namespace {

struct LocalSearchOptions {
  int64_t checks = 4'000'000;
  int32_t restarts = 8;
  int32_t kick = 4;
};

template <class Visitor>
void fields(Visitor& v, LocalSearchOptions& s) {
  v.optional("checks", s.checks, between(int64_t{0}, int64_t{1'000'000'000'000}),
             "pairs of slots to look at in each layer at the most");
  v.optional("restarts", s.restarts, between(0, 1'000'000),
             "how often a search that finds no more swap begins anew from the best so far");
  v.optional("kick", s.kick, between(1, 1000), "random swaps of each new beginning");
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

void search_layer(SlotSearch& search, const LocalSearchOptions& options, Rng& rng) {
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

Placement place_local_search(const PlacementInput& in, const LocalSearchOptions& options, Rng& rng) {
  return search_layers(in, [&](SlotSearch& search) { search_layer(search, options, rng); }, rng);
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "local_search", "swaps between GPUs as long as one lowers the cost of the past, from the best simple placement",
    place_local_search);

}  // namespace
}  // namespace moesim
