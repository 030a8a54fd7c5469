// Ring reduction: ranks - 1 rounds for a reduce-scatter or an all-gather, twice that for an all-reduce; in each, a
// rank passes one shard to its successor. Bandwidth-optimal (Patarasuk and Yuan, JPDC 2009).

#include "sim/comm/collective.h"
#include "sim/comm/reduction_shards.h"

namespace moesim {
namespace {

// Round k of either half: rank r passes on shard r - k (reduce-scatter) or r + 1 - k (all-gather), modulo the ranks,
// so that rank r ends the first half owning shard r + 1 and starts the second with it.
void add_ring_rounds(CollectivePlan& plan, const ReductionInput& in, int32_t first_shard) {
  for (int32_t round = 0; round + 1 < in.ranks; ++round) {
    std::vector<Transfer>& transfers = plan.rounds.emplace_back();
    for (int32_t rank = 0; rank < in.ranks; ++rank) {
      const int32_t shard = (rank + first_shard - round + in.ranks) % in.ranks;
      transfers.push_back({rank, (rank + 1) % in.ranks, shard_bytes(in.bytes, in.ranks, shard)});
    }
  }
}

CollectivePlan reduce_ring(const ReductionInput& in, const NoOptions&, Rng&) {
  CollectivePlan plan;
  if (in.reduction != Reduction::all_gather) add_ring_rounds(plan, in, 0);
  if (in.reduction != Reduction::reduce_scatter) add_ring_rounds(plan, in, 1);
  if (plan.rounds.empty()) plan.rounds.emplace_back();  // one rank: nothing travels
  return plan;
}

[[maybe_unused]] const bool registered = Registry<ReductionAlgorithm>::instance().add(
    "ring", "each rank passes one shard a round to its successor", reduce_ring);

}  // namespace
}  // namespace moesim
