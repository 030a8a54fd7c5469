// Experts that had the most tokens in the past are pinned, as Fiddler does by a profile that it takes beforehand: one
// of them leaves only where no less popular one can.

#include "sim/moe/offload/cache.h"

namespace moesim {
namespace {

ExpertItem cache_by_popularity(CacheState&, const CacheEvent& event, const NoOptions&, Rng&) {
  if (event.kind != CacheEventKind::choose) return kNoItem;
  ExpertItem least = event.candidates.front();
  for (const ExpertItem item : event.candidates)
    if (event.past_load[size_t(item)] < event.past_load[size_t(least)]) least = item;
  return least;
}

[[maybe_unused]] const bool registered = Registry<CachePolicy>::instance().add(
    "popularity", "the one with the fewest tokens in the past leaves", cache_by_popularity);

}  // namespace
}  // namespace moesim
