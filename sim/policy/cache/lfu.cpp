// Least frequently used: uses are counted while an expert is away too, as what it is worth does not depend on where it
// lies.

#include "sim/moe/offload/cache.h"

namespace moesim {
namespace {

struct LfuOptions {
  int64_t half_life = 0;
};

template <class Visitor>
void fields(Visitor& v, LfuOptions& s) {
  v.optional("half_life", s.half_life, between(0, 1'000'000'000),
             "accesses after which all counts are halved, so that old uses fade; 0: never");
}

ExpertItem cache_lfu(CacheState& state, const CacheEvent& event, const LfuOptions& options, Rng&) {
  if (event.kind == CacheEventKind::begin) state.value.assign(event.items(), 0);
  if (event.kind == CacheEventKind::access) {
    state.value[size_t(event.item)] += 1;
    if (++state.clock == options.half_life) {
      for (double& uses : state.value) uses /= 2;
      state.clock = 0;
    }
  }
  return event.kind == CacheEventKind::choose ? least_valuable(event.candidates, state.value) : kNoItem;
}

[[maybe_unused]] const bool registered =
    Registry<CachePolicy>::instance().add("lfu", "the least frequently used leaves", cache_lfu);

}  // namespace
}  // namespace moesim
