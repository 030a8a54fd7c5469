#include "sim/policy/expert_schedule/plan_order.h"

#include <algorithm>

namespace moesim {
namespace {

int rank_of(const ExpertWork& work) {
  if (work.resident) return 0;
  return work.arriving ? 1 : 2;
}

}  // namespace

bool is_heavier(const ExpertScheduleInput& in, int32_t a, int32_t b) {
  const int64_t tokens_a = in.experts[size_t(a)].tokens;
  const int64_t tokens_b = in.experts[size_t(b)].tokens;
  return tokens_a != tokens_b ? tokens_a > tokens_b : a < b;
}

bool is_ready_before(const ExpertScheduleInput& in, int32_t a, int32_t b) {
  const ExpertWork& work_a = in.experts[size_t(a)];
  const ExpertWork& work_b = in.experts[size_t(b)];
  const int rank_a = rank_of(work_a);
  const int rank_b = rank_of(work_b);
  if (rank_a != rank_b) return rank_a < rank_b;
  if (rank_a == 1 && work_a.arrives != work_b.arrives) return work_a.arrives < work_b.arrives;
  return is_heavier(in, a, b);
}

void ready_first(const ExpertScheduleInput& in, std::span<PlannedExpert> order) {
  std::sort(order.begin(), order.end(),
            [&](const PlannedExpert& a, const PlannedExpert& b) { return is_ready_before(in, a.index, b.index); });
}

ExpertPlan all_on_gpu(const ExpertScheduleInput& in) {
  ExpertPlan plan;
  plan.order.resize(in.experts.size());
  for (size_t i = 0; i < in.experts.size(); ++i) plan.order[i].index = int32_t(i);
  return plan;
}

ExpertPlan missing_beside(const ExpertScheduleInput& in) {
  ExpertPlan plan = all_on_gpu(in);
  for (PlannedExpert& planned : plan.order) {
    const ExpertWork& work = in.experts[size_t(planned.index)];
    if (!work.resident && can_run_beside(in, work)) planned.place = ExpertPlace::cpu;
  }
  ready_first(in, plan.order);
  return plan;
}

Duration ready_at(const ExpertWork& work, Duration bus) {
  if (work.resident) return {};
  return work.arriving ? work.arrives : bus + work.copy;
}

}  // namespace moesim
