// Contiguous placement: experts in order, in equal blocks, as most serving engines start.

#include "sim/moe/placement.h"

namespace moesim {
namespace {

Placement place_contiguous(const PlacementInput& in, const NoOptions&, Rng&) { return contiguous_placement(in); }

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "contiguous", "experts in order, in equal blocks", place_contiguous, {PlacementNeeds::loads});

}  // namespace
}  // namespace moesim
