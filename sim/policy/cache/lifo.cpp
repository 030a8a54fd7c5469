// Last in, first out: what came early stays, as in a cache that is filled once.

#include "sim/moe/offload/cache.h"

namespace moesim {
namespace {

ExpertItem cache_lifo(CacheState& state, const CacheEvent& event, const NoOptions&, Rng&) {
  if (event.kind == CacheEventKind::begin) state.value.assign(event.items(), 0);
  if (event.kind == CacheEventKind::load) state.value[size_t(event.item)] = double(--state.clock);
  return event.kind == CacheEventKind::choose ? least_valuable(event.candidates, state.value) : kNoItem;
}

[[maybe_unused]] const bool registered =
    Registry<CachePolicy>::instance().add("lifo", "the one brought last leaves", cache_lifo);

}  // namespace
}  // namespace moesim
