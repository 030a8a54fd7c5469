// Round-robin placement: expert e on GPU e modulo the GPUs.

#include "sim/moe/placement.h"

namespace moesim {
namespace {

Placement place_round_robin(const PlacementInput& in, const NoOptions&, Rng&) {
  return place_each(in, [&](int32_t, int32_t expert) { return expert % in.gpus; });
}

[[maybe_unused]] const bool registered =
    Registry<PlacementPolicy>::instance().add("round_robin", "expert e on GPU e modulo the GPUs", place_round_robin);

}  // namespace
}  // namespace moesim
