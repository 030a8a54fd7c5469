// Fiddler's rule, an expert at a time: where it is missing, it is copied if the CPU would take longer than the copy and
// the GPU together. As the CPU's time grows with the tokens and the copy's does not, this is a number of tokens. Copies
// are taken to have the bus for themselves, and the CPU nothing else to do.

#include "sim/policy/expert_schedule/plan_order.h"

namespace moesim {
namespace {

ExpertPlan schedule_by_threshold(const ExpertScheduleInput& in, const NoOptions&, Rng&) {
  ExpertPlan plan = all_on_gpu(in);
  for (PlannedExpert& planned : plan.order) {
    const ExpertWork& work = in.experts[size_t(planned.index)];
    if (work.resident || !can_run_beside(in, work)) continue;
    if (work.cpu <= ready_at(work, {}) + work.gpu) planned.place = ExpertPlace::cpu;
  }
  ready_first(in, plan.order);
  return plan;
}

[[maybe_unused]] const bool registered = Registry<ExpertSchedulePolicy>::instance().add(
    "threshold", "a missing expert is copied where the CPU would take longer than copy and GPU", schedule_by_threshold);

}  // namespace
}  // namespace moesim
