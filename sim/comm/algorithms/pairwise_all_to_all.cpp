// Pairwise all-to-all: in round i each rank sends to the i-th rank after it, so that at any time a rank sends to one
// and receives from one. MPICH's choice for long messages (Thakur, Rabenseifner and Gropp, IJHPCA 2005).

#include "sim/comm/collective.h"
#include "sim/comm/plan_builder.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

CollectivePlan all_to_all_pairwise(const AllToAllInput& in, const NoOptions&, Rng&) {
  CHECK(in.bytes.size() == size_t(in.ranks) * size_t(in.ranks));
  PlanBuilder plan(in.ranks - 1, 1, in.keep_content);
  for (int32_t shift = 1; shift < in.ranks; ++shift)
    for (int32_t from = 0; from < in.ranks; ++from) {
      const int32_t to = (from + shift) % in.ranks;
      plan.add(shift - 1, from, to, {from, to, 0, in.bytes[size_t(from) * size_t(in.ranks) + size_t(to)]});
    }
  return plan.take_point_to_point();
}

[[maybe_unused]] const bool registered = Registry<AllToAllAlgorithm>::instance().add(
    "pairwise", "ranks - 1 rounds; in each, one message out of and one into each rank", all_to_all_pairwise);

}  // namespace
}  // namespace moesim
