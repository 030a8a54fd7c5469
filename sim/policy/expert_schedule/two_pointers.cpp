// What HybriMoE's released code does, which is not what its paper says: in decode it goes through the experts that the
// GPU has, heaviest first, and then the others. The first of what is left goes to the GPU if this would be done with it
// no later than the CPU with the last; else the last goes to the CPU. In prefill everything goes to the GPU.

#include <algorithm>

#include "sim/policy/expert_schedule/plan_order.h"

namespace moesim {
namespace {

ExpertPlan schedule_two_pointers(const ExpertScheduleInput& in, const NoOptions&, Rng&) {
  ExpertPlan plan = all_on_gpu(in);
  ready_first(in, plan.order);
  if (in.has_prefill) return plan;
  Duration gpu = in.gpu_busy;
  Duration cpu = in.cpu_busy + in.cpu_first;
  Duration bus = in.copies_busy;
  size_t front = 0;
  size_t back = plan.order.size();
  while (front < back) {
    const ExpertWork& first = in.experts[size_t(plan.order[front].index)];
    const ExpertWork& last = in.experts[size_t(plan.order[back - 1].index)];
    const Duration at = ready_at(first, bus);
    const Duration gpu_after = std::max(gpu, at) + first.gpu;
    if (can_run_beside(in, last) && gpu_after > cpu + last.cpu) {
      plan.order[--back].place = ExpertPlace::cpu;
      cpu += last.cpu;
      continue;
    }
    ++front;
    gpu = gpu_after;
    if (!first.resident && !first.arriving) bus = at;
  }
  return plan;
}

[[maybe_unused]] const bool registered = Registry<ExpertSchedulePolicy>::instance().add(
    "two_pointers", "present experts to the GPU and missing ones to the CPU until they meet, as HybriMoE's code",
    schedule_two_pointers);

}  // namespace
}  // namespace moesim
