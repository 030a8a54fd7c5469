// First in, first out: use does not count.

#include "sim/moe/offload/cache.h"

namespace moesim {
namespace {

ExpertItem cache_fifo(CacheState& state, const CacheEvent& event, const NoOptions&, Rng&) {
  if (event.kind == CacheEventKind::begin) state.value.assign(event.items(), 0);
  if (event.kind == CacheEventKind::load) state.value[size_t(event.item)] = double(++state.clock);
  return event.kind == CacheEventKind::choose ? least_valuable(event.candidates, state.value) : kNoItem;
}

[[maybe_unused]] const bool registered =
    Registry<CachePolicy>::instance().add("fifo", "the one brought longest ago leaves", cache_fifo);

}  // namespace
}  // namespace moesim
