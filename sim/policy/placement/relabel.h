// Which GPU takes over which part of a new placement, so that few weights move.
#pragma once

#include "sim/moe/placement.h"

namespace moesim {

// The placement with its GPUs renamed so that as many copies as can be are where the present one has them: whole
// servers change places, and GPUs within them, where they are alike in slots and speed. So every load is what it was,
// only elsewhere, and copies that lay on different servers still do. Where tokens' ways from layer to layer are part of
// the policy's plan (PlacementNeeds::pairs), all layers get the same names; else each its own. Never moves more than
// the placement itself would.
Placement relabelled(const PlacementInput& in, const Placement& present, const Placement& next, PlacementNeeds needs);

// Copies that GPUs would have to be sent: experts that they host in `next` and not at present.
int64_t copies_to_move(const Placement& present, const Placement& next);

}  // namespace moesim
