// Belady's rule: the expert that is needed again last leaves. No cache that brings experts only when they are needed,
// one at a time, hits more often (L. A. Belady, IBM Systems Journal 5, 1966). It reads the future.

#include "sim/moe/offload/cache.h"

namespace moesim {
namespace {

ExpertItem cache_by_future(CacheState&, const CacheEvent& event, const NoOptions&, Rng&) {
  if (event.kind != CacheEventKind::choose) return kNoItem;
  ExpertItem furthest = event.candidates.front();
  for (const ExpertItem item : event.candidates)
    if (event.next_use[size_t(item)] > event.next_use[size_t(furthest)]) furthest = item;
  return furthest;
}

[[maybe_unused]] const bool registered =
    Registry<CachePolicy>::instance().add("oracle", "the one that is needed again last leaves: reads the future",
                                          cache_by_future, {.reads_future = true, .reads_forecast = false});

}  // namespace
}  // namespace moesim
