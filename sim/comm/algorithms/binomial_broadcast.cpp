// Binomial broadcast: in each round every rank that has the buffer sends it to one that has not. ceil(log2 ranks)
// rounds of the whole buffer, for short ones (Thakur, Rabenseifner and Gropp, IJHPCA 2005).

#include "sim/comm/collective.h"
#include "sim/comm/plan_builder.h"

namespace moesim {
namespace {

CollectivePlan broadcast_binomial(const BroadcastInput& in, const NoOptions&, Rng&) {
  PlanBuilder plan(32, 1, in.keep_content);
  const auto rank = [&](int64_t after_root) { return int32_t((in.root + after_root) % in.ranks); };
  int32_t phase = 0;
  for (int64_t have = 1; have < in.ranks; have *= 2, ++phase)
    for (int64_t from = 0; from < have && from + have < in.ranks; ++from)
      plan.add(phase, rank(from), rank(from + have), {0, 0, 0, in.bytes});
  return plan.take();
}

[[maybe_unused]] const bool registered = Registry<BroadcastAlgorithm>::instance().add(
    "binomial", "those who have it send it on, twice as many each round", broadcast_binomial);

}  // namespace
}  // namespace moesim
