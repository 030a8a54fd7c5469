// Pipelined ring broadcast: each rank passes on, chunk by chunk, to its successor. With k chunks the last is there
// after ranks - 2 + k rounds of 1 / k of the buffer, for long ones. As NCCL's broadcast.

#include <algorithm>

#include "sim/comm/collective.h"
#include "sim/comm/plan_builder.h"

namespace moesim {
namespace {

struct RingBroadcastOptions {
  int32_t chunks = 8;
};

template <class Visitor>
void fields(Visitor& v, RingBroadcastOptions& s) {
  v.optional("chunks", s.chunks, between(1, 65536), "pieces that follow each other along the ring");
}

CollectivePlan broadcast_ring(const BroadcastInput& in, const RingBroadcastOptions& options, Rng&) {
  PlanBuilder plan(std::max(in.ranks - 1, 1), options.chunks, in.keep_content);
  for (int32_t hop = 0; hop + 1 < in.ranks; ++hop)
    plan.add(hop, (in.root + hop) % in.ranks, (in.root + hop + 1) % in.ranks, {0, 0, 0, in.bytes});
  return plan.take();
}

[[maybe_unused]] const bool registered = Registry<BroadcastAlgorithm>::instance().add(
    "ring", "in chunks that follow each other from rank to rank", broadcast_ring);

}  // namespace
}  // namespace moesim
