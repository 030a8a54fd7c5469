// Direct all-to-all: every rank sends to every other at once, one message a pair.

#include "sim/comm/collective.h"
#include "sim/comm/plan_builder.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

CollectivePlan all_to_all_direct(const AllToAllInput& in, const NoOptions&, Rng&) {
  const size_t ranks = size_t(in.ranks);
  CHECK(in.bytes.size() == ranks * ranks);
  PlanBuilder plan(1, 1, in.keep_content);
  for (size_t from = 0; from < ranks; ++from)
    for (size_t to = 0; to < ranks; ++to)
      plan.add(0, int32_t(from), int32_t(to), {int32_t(from), int32_t(to), 0, in.bytes[from * ranks + to]});
  return plan.take_point_to_point();
}

[[maybe_unused]] const bool registered = Registry<AllToAllAlgorithm>::instance().add(
    "direct", "every rank sends to every other at once, one message a pair", all_to_all_direct);

}  // namespace
}  // namespace moesim
