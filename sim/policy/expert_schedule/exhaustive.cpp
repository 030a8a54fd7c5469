// The best plan that does not defer, by trying every split of a few experts between GPU and CPU: a reference for how
// far others are from it. It knows what every policy knows, and nothing of later layers.
//
// The order in which the GPU's experts are copied needs no search. Bus and GPU are a flow shop of two machines, for
// which Johnson's rule is the best order (Naval Research Logistics Quarterly 1, 1954); where all copies take as long as
// each other, the longest on the GPU first is the best also beside experts that were on their way before. Only where
// copies differ and others are on their way may there be a better order.

#include <algorithm>

#include "sim/policy/expert_schedule/plan_order.h"
#include "sim/policy/expert_schedule/three_queues.h"

namespace moesim {
namespace {

struct ExhaustiveOptions {
  int32_t experts_max = 10;
};

template <class Visitor>
void fields(Visitor& v, ExhaustiveOptions& o) {
  v.optional("experts_max", o.experts_max, between(0, 16),
             "experts with tokens at most; a layer with more is scheduled by three queues");
}

// Johnson's rule: copies shorter than their kernels by rising copy, then the others by falling kernel.
bool goes_before(const ExpertWork& a, const ExpertWork& b) {
  const bool a_is_short = a.copy < a.gpu;
  const bool b_is_short = b.copy < b.gpu;
  if (a_is_short != b_is_short) return a_is_short;
  if (a_is_short && a.copy != b.copy) return a.copy < b.copy;
  if (a.gpu != b.gpu) return a.gpu > b.gpu;
  return a.expert < b.expert;
}

struct Search {
  const ExpertScheduleInput& in;
  ExpertPlan plan;
  ExpertPlan best;
  Duration makespan;
};

// Tries what is left from `next` on. Both sums only grow, so a branch ends where one reaches the best.
void try_rest(Search& s, size_t next, Duration gpu, Duration cpu) {
  if (gpu >= s.makespan || cpu >= s.makespan) return;
  if (next == s.plan.order.size()) {
    const Duration makespan = plan_times(s.in, s.plan).makespan();
    if (makespan >= s.makespan) return;
    s.makespan = makespan;
    s.best = s.plan;
    return;
  }
  PlannedExpert& planned = s.plan.order[next];
  const ExpertWork& work = s.in.experts[size_t(planned.index)];
  planned.place = ExpertPlace::gpu;
  try_rest(s, next + 1, gpu + work.gpu, cpu);
  if (!can_run_beside(s.in, work)) return;
  planned.place = ExpertPlace::cpu;
  try_rest(s, next + 1, gpu, cpu + work.cpu);
}

ExpertPlan schedule_exhaustive(const ExpertScheduleInput& in, const ExhaustiveOptions& options, Rng&) {
  ExpertPlan start = three_queues_plan(in, QueueTies::cpu);
  if (in.experts.size() > size_t(options.experts_max)) return start;
  Search s{in, all_on_gpu(in), {}, plan_times(in, start).makespan()};
  s.best = std::move(start);
  std::sort(s.plan.order.begin(), s.plan.order.end(), [&](const PlannedExpert& a, const PlannedExpert& b) {
    const ExpertWork& work_a = in.experts[size_t(a.index)];
    const ExpertWork& work_b = in.experts[size_t(b.index)];
    const bool a_is_copied = !work_a.resident && !work_a.arriving;
    const bool b_is_copied = !work_b.resident && !work_b.arriving;
    if (a_is_copied != b_is_copied) return b_is_copied;
    return a_is_copied ? goes_before(work_a, work_b) : is_ready_before(in, a.index, b.index);
  });
  try_rest(s, 0, in.gpu_busy, in.cpu_busy);
  return s.best;
}

[[maybe_unused]] const bool registered = Registry<ExpertSchedulePolicy>::instance().add(
    "exhaustive", "the best of all splits between GPU and CPU, for few experts: a reference", schedule_exhaustive);

}  // namespace
}  // namespace moesim
