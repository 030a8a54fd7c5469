// Direct reduction: each rank exchanges shards with every other at once. One round for a reduce-scatter or an
// all-gather, two for an all-reduce. The natural choice inside an NVSwitch domain, where all pairs are one hop apart.

#include "sim/comm/collective.h"
#include "sim/comm/reduction_shards.h"

namespace moesim {
namespace {

// Shard r goes to its owner r in a reduce-scatter, and from its owner to all others in an all-gather.
std::vector<Transfer> exchange(const ReductionInput& in, bool gather) {
  std::vector<Transfer> round;
  for (int32_t owner = 0; owner < in.ranks; ++owner)
    for (int32_t other = 0; other < in.ranks; ++other) {
      if (other == owner) continue;
      const Bytes shard = shard_bytes(in.bytes, in.ranks, owner);
      round.push_back(gather ? Transfer{owner, other, shard} : Transfer{other, owner, shard});
    }
  return round;
}

CollectivePlan reduce_direct(const ReductionInput& in, const NoOptions&, Rng&) {
  CollectivePlan plan;
  if (in.reduction != Reduction::all_gather) plan.rounds.push_back(exchange(in, false));
  if (in.reduction != Reduction::reduce_scatter) plan.rounds.push_back(exchange(in, true));
  return plan;
}

[[maybe_unused]] const bool registered = Registry<ReductionAlgorithm>::instance().add(
    "direct", "shards exchanged with every other rank at once", reduce_direct);

}  // namespace
}  // namespace moesim
