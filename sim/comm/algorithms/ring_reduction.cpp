// Ring reduction: ranks - 1 rounds for a reduce-scatter or an all-gather, twice that for an all-reduce; in each, a
// rank passes one shard to its successor. Bandwidth-optimal (Patarasuk and Yuan, JPDC 2009).

#include "sim/comm/collective.h"
#include "sim/comm/plan_builder.h"
#include "sim/comm/reduction_shards.h"

namespace moesim {
namespace {

// Round k of either half: rank r passes on shard r - 1 - k (reduce-scatter) or r - k (all-gather), modulo the ranks, so
// that rank r ends the first half owning shard r and starts the second with it. What a rank sends it got in the round
// before, but in the first of all rounds.
void add_ring_rounds(PlanBuilder& plan, int32_t first_phase, const ReductionInput& in, bool gather) {
  const bool follows = gather && in.reduction == Reduction::all_reduce;
  for (int32_t round = 0; round + 1 < in.ranks; ++round)
    for (int32_t rank = 0; rank < in.ranks; ++rank) {
      const int32_t shard = (rank - (gather ? 0 : 1) - round + in.ranks) % in.ranks;
      plan.add(first_phase + round, rank, (rank + 1) % in.ranks, shard_piece(in.bytes, in.ranks, shard, !gather),
               follows || round > 0);
    }
}

CollectivePlan reduce_ring(const ReductionInput& in, const NoOptions&, Rng&) {
  const int32_t half = in.ranks - 1;
  PlanBuilder plan(2 * half, 1, in.keep_content);
  if (in.reduction != Reduction::all_gather) add_ring_rounds(plan, 0, in, false);
  if (in.reduction != Reduction::reduce_scatter) add_ring_rounds(plan, half, in, true);
  CollectivePlan rounds = plan.take();
  rounds.own = own_shard(in);
  return rounds;
}

[[maybe_unused]] const bool registered = Registry<ReductionAlgorithm>::instance().add(
    "ring", "each rank passes one shard a round to its successor", reduce_ring);

}  // namespace
}  // namespace moesim
