// Local search on the past's cost: from the best of simple placements, swaps between GPUs as long as one pays, and then
// again from the best found with a few random swaps.

#include "sim/policy/placement/slot_search.h"

namespace moesim {
namespace {

struct LocalSearchOptions : Restarts {};

template <class Visitor>
void fields(Visitor& v, LocalSearchOptions& s) {
  v.optional("checks", s.checks, between(int64_t{0}, int64_t{1'000'000'000'000}),
             "pairs of slots to look at in each layer at the most");
  v.optional("restarts", s.restarts, between(0, 1'000'000),
             "how often a search that finds no more swap begins anew from the best so far");
  v.optional("kick", s.kick, between(1, 1000), "random swaps of each new beginning");
}

Placement place_local_search(const PlacementInput& in, const LocalSearchOptions& options, Rng& rng) {
  return search_layers(in, [&](SlotSearch& search) { descend_again(search, options, rng); }, rng);
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "local_search", "swaps between GPUs as long as one lowers the cost of the past, from the best simple placement",
    place_local_search, {PlacementNeeds::costs});

}  // namespace
}  // namespace moesim
