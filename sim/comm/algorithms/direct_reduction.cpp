// Direct reduction: each rank exchanges shards with every other at once. One round for a reduce-scatter or an
// all-gather, two for an all-reduce. The natural choice inside an NVSwitch domain, where all pairs are one hop apart.

#include "sim/comm/collective.h"
#include "sim/comm/plan_builder.h"
#include "sim/comm/reduction_shards.h"

namespace moesim {
namespace {

// Shard r goes to its owner r in a reduce-scatter, and from its owner to all others in an all-gather. In an all-reduce
// the owner adds it up and sends it to the first of them in one pass.
void add_exchange(PlanBuilder& plan, int32_t phase, const ReductionInput& in, bool gather) {
  for (int32_t owner = 0; owner < in.ranks; ++owner)
    for (int32_t other = 0; other < in.ranks; ++other) {
      const Piece shard = shard_piece(in.bytes, in.ranks, owner, !gather);
      const bool passes_on = gather && in.reduction == Reduction::all_reduce && other == (owner + 1) % in.ranks;
      plan.add(phase, gather ? owner : other, gather ? other : owner, shard, passes_on);
    }
}

CollectivePlan reduce_direct(const ReductionInput& in, const NoOptions&, Rng&) {
  PlanBuilder plan(2, 1, in.keep_content);
  if (in.reduction != Reduction::all_gather) add_exchange(plan, 0, in, false);
  if (in.reduction != Reduction::reduce_scatter) add_exchange(plan, 1, in, true);
  CollectivePlan rounds = plan.take();
  rounds.own = own_shard(in);
  return rounds;
}

[[maybe_unused]] const bool registered = Registry<ReductionAlgorithm>::instance().add(
    "direct", "shards exchanged with every other rank at once", reduce_direct);

}  // namespace
}  // namespace moesim
