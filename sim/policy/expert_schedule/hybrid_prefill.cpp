// Prefill split by load. The CPU's time grows with an expert's tokens, the GPU's hardly does, so heavy experts belong
// on the GPU and light ones on the CPU: the experts stand in one row, those that the GPU has before the missing ones
// and heavy before light, and the row is cut where GPU and CPU end nearest together. Steps without prefill are
// scheduled by three queues.

#include "sim/policy/expert_schedule/plan_order.h"
#include "sim/policy/expert_schedule/three_queues.h"

namespace moesim {
namespace {

// The CPU gets the row from `cut` on, but for what it cannot run.
void cut_row(const ExpertScheduleInput& in, ExpertPlan& plan, size_t cut) {
  for (size_t i = 0; i < plan.order.size(); ++i) {
    const bool beside = i >= cut && can_run_beside(in, in.experts[size_t(plan.order[i].index)]);
    plan.order[i].place = beside ? ExpertPlace::cpu : ExpertPlace::gpu;
  }
}

// As the cut moves on, the GPU ends no earlier and the CPU no later, so the best cut is the first at which the GPU ends
// no earlier than the CPU, or the one before.
ExpertPlan split_by_load(const ExpertScheduleInput& in) {
  ExpertPlan plan = all_on_gpu(in);
  ready_first(in, plan.order);
  size_t low = 0;
  size_t high = plan.order.size();
  while (low < high) {
    const size_t middle = (low + high) / 2;
    cut_row(in, plan, middle);
    const PlanTimes times = plan_times(in, plan);
    if (times.gpu < times.cpu)
      low = middle + 1;
    else
      high = middle;
  }
  cut_row(in, plan, low);
  if (low == 0) return plan;
  const Duration makespan = plan_times(in, plan).makespan();
  cut_row(in, plan, low - 1);
  if (plan_times(in, plan).makespan() >= makespan) cut_row(in, plan, low);
  return plan;
}

ExpertPlan schedule_hybrid_prefill(const ExpertScheduleInput& in, const NoOptions&, Rng&) {
  return in.has_prefill ? split_by_load(in) : three_queues_plan(in, QueueTies::cpu);
}

[[maybe_unused]] const bool registered = Registry<ExpertSchedulePolicy>::instance().add(
    "hybrid_prefill", "in prefill heavy experts to the GPU and light ones to the CPU so that both end together",
    schedule_hybrid_prefill);

}  // namespace
}  // namespace moesim
