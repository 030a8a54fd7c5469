#include "sim/policy/expert_schedule/gpu_order.h"

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

void ready_first(const ExpertScheduleInput& in, std::span<PlannedExpert> order) {
  std::sort(order.begin(), order.end(), [&](const PlannedExpert& a, const PlannedExpert& b) {
    const ExpertWork& work_a = in.experts[size_t(a.index)];
    const ExpertWork& work_b = in.experts[size_t(b.index)];
    const int rank_a = rank_of(work_a);
    const int rank_b = rank_of(work_b);
    if (rank_a != rank_b) return rank_a < rank_b;
    if (rank_a == 1 && work_a.arrives != work_b.arrives) return work_a.arrives < work_b.arrives;
    return is_heavier(in, a.index, b.index);
  });
}

ExpertPlan all_on_gpu(const ExpertScheduleInput& in) {
  ExpertPlan plan;
  plan.order.resize(in.experts.size());
  for (size_t i = 0; i < in.experts.size(); ++i) plan.order[i].index = int32_t(i);
  return plan;
}

}  // namespace moesim
