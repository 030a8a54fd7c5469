// Direct sparse collective: the owner of a block exchanges it with each replica at once. Volume: one block for each
// rank that lacks it, the least there is (Hecate's spAG and spRS).

#include "sim/comm/collective.h"
#include "sim/comm/plan_builder.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

CollectivePlan sparse_direct(const SparseInput& in, const NoOptions&, Rng&) {
  CHECK(in.owner.size() == in.block_bytes.size());
  CHECK(in.replicas.size() == in.block_bytes.size());
  const bool gather = in.direction == SparseDirection::all_gather;
  PlanBuilder plan(1, 1, in.keep_content);
  for (size_t block = 0; block < in.block_bytes.size(); ++block)
    for (const int32_t replica : in.replicas[block]) {
      const Piece whole{int32_t(block), 0, 0, in.block_bytes[block], !gather};
      plan.add(0, gather ? in.owner[block] : replica, gather ? replica : in.owner[block], whole);
    }
  return plan.take();
}

[[maybe_unused]] const bool registered = Registry<SparseAlgorithm>::instance().add(
    "direct", "each block between its owner and every rank that lacks it", sparse_direct);

}  // namespace
}  // namespace moesim
