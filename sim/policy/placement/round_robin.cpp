// Round-robin placement: expert e on GPU e modulo the GPUs; where GPUs differ, those that are full are passed over.

#include "sim/core/check.h"
#include "sim/moe/placement.h"

namespace moesim {
namespace {

Placement place_round_robin(const PlacementInput& in, const NoOptions&, Rng&) {
  CHECK(in.experts <= slots_total(in));
  std::vector<size_t> turn;  // [expert]
  for (int32_t round = 0; turn.size() < size_t(in.experts); ++round)
    for (size_t gpu = 0; gpu < size_t(in.gpus); ++gpu)
      if (round < slots_of(in, gpu)) turn.push_back(gpu);
  return place_each(in, [&](int32_t, int32_t expert) { return turn[size_t(expert)]; });
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "round_robin", "expert e on GPU e modulo the GPUs", place_round_robin, {PlacementNeeds::loads});

}  // namespace
}  // namespace moesim
