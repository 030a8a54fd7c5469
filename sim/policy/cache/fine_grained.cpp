// FineMoE: the expert with the largest 1 / (predicted part of its layer's tokens x number of its uses) leaves.

#include "sim/policy/cache/outlook.h"

namespace moesim {
namespace {

ExpertItem cache_fine_grained(CacheState& state, const CacheEvent& event, const NoOptions&, Rng&) {
  count_uses(state, event);
  if (event.kind != CacheEventKind::choose) return kNoItem;
  return least_by_outlook(event, [&](ExpertItem item, double part, int32_t) {
    return (part + kLeastPart) * double(state.count[size_t(item)] + 1);
  });
}

[[maybe_unused]] const bool registered =
    Registry<CachePolicy>::instance().add("fine_grained", "the least predicted and least used leaves",
                                          cache_fine_grained, {.reads_future = false, .reads_forecast = true});

}  // namespace
}  // namespace moesim
