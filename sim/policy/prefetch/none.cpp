// Experts are copied when tokens need them, never before.

#include "sim/moe/offload/prefetch.h"

namespace moesim {
namespace {

std::span<const ExpertItem> prefetch_none(PrefetchState&, const PrefetchInput&, const NoOptions&, Rng&) { return {}; }

[[maybe_unused]] const bool registered = Registry<PrefetchPolicy>::instance().add(
    "none", "experts are copied when tokens need them, never before", prefetch_none);

}  // namespace
}  // namespace moesim
