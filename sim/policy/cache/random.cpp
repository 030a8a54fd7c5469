// Any of the candidates, each as likely as the others.

#include "sim/moe/offload/cache.h"

namespace moesim {
namespace {

ExpertItem cache_random(CacheState&, const CacheEvent& event, const NoOptions&, Rng& rng) {
  if (event.kind != CacheEventKind::choose) return kNoItem;
  return event.candidates[rng.below(event.candidates.size())];
}

[[maybe_unused]] const bool registered =
    Registry<CachePolicy>::instance().add("random", "any leaves, each as likely as the others", cache_random);

}  // namespace
}  // namespace moesim
