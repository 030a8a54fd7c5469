// MoE-Infinity (arXiv 2401.14361): an expert is worth the part of its layer's tokens that it is predicted to get, times
// 1 - (turns until its layer runs) / (layers + 1), times how often it was used.

#include "sim/policy/cache/outlook.h"

namespace moesim {
namespace {

ExpertItem cache_activation_aware(CacheState& state, const CacheEvent& event, const NoOptions&, Rng&) {
  count_uses(state, event);
  if (event.kind != CacheEventKind::choose) return kNoItem;
  return least_by_outlook(event, [&](ExpertItem item, double part, int32_t ahead) {
    const double decay = 1 - double(ahead) / double(event.layers + 1);
    return (part + kLeastPart) * decay * double(state.count[size_t(item)] + 1);
  });
}

[[maybe_unused]] const bool registered =
    Registry<CachePolicy>::instance().add("activation_aware", "the least predicted, furthest and least used leaves",
                                          cache_activation_aware, {.reads_future = false, .reads_forecast = true});

}  // namespace
}  // namespace moesim
