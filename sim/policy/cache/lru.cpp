// Least recently used: the expert that was needed, or brought, longest ago leaves.

#include "sim/moe/offload/cache.h"

namespace moesim {
namespace {

ExpertItem cache_lru(CacheState& state, const CacheEvent& event, const NoOptions&, Rng&) {
  switch (event.kind) {
    case CacheEventKind::begin:
      state.value.assign(event.items(), 0);
      break;
    case CacheEventKind::access:
    case CacheEventKind::load:
      state.value[size_t(event.item)] = double(++state.clock);
      break;
    case CacheEventKind::choose:
      return least_valuable(event.candidates, state.value);
    case CacheEventKind::route:
    case CacheEventKind::evict:
      break;
  }
  return kNoItem;
}

[[maybe_unused]] const bool registered =
    Registry<CachePolicy>::instance().add("lru", "the least recently used leaves", cache_lru);

}  // namespace
}  // namespace moesim
