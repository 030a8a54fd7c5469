#include "sim/moe/offload/expert_schedule.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {
namespace {

struct Arrival {
  Duration at;
  Duration gpu;
};

// The GPU takes the first expert of its list that has arrived, else it waits for the earliest to arrive.
Duration gpu_done(std::vector<Arrival>& queue, Duration busy) {
  Duration now = busy;
  while (!queue.empty()) {
    auto next = std::find_if(queue.begin(), queue.end(), [&](const Arrival& expert) { return expert.at <= now; });
    if (next == queue.end())
      next =
          std::min_element(queue.begin(), queue.end(), [](const Arrival& a, const Arrival& b) { return a.at < b.at; });
    now = std::max(now, next->at) + next->gpu;
    queue.erase(next);
  }
  return now;
}

}  // namespace

Duration PlanTimes::makespan() const { return std::max(gpu, cpu); }

PlanTimes plan_times(const ExpertScheduleInput& in, const ExpertPlan& plan) {
  PlanTimes times;
  times.cpu = in.cpu_busy;
  times.copy = in.copies_busy;
  std::vector<Arrival> queue;
  bool first = true;
  Duration cpu = in.cpu_busy;
  for (const PlannedExpert& planned : plan.order) {
    const ExpertWork& work = in.experts[size_t(planned.index)];
    if (planned.place == ExpertPlace::gpu) {
      Duration at = work.arrives;
      if (!work.resident && !work.arriving) at = times.copy = times.copy + work.copy;
      queue.push_back({at, work.gpu});
      continue;
    }
    cpu += work.cpu + (first ? in.cpu_first : Duration{});
    first = false;
    if (planned.place != ExpertPlace::deferred) times.cpu = cpu;
  }
  times.gpu = gpu_done(queue, in.gpu_busy);
  return times;
}

void check_plan(const ExpertScheduleInput& in, const ExpertPlan& plan) {
  CHECK(plan.order.size() == in.experts.size());
  std::vector<bool> listed(in.experts.size());
  for (const PlannedExpert& planned : plan.order) {
    CHECK(size_t(planned.index) < listed.size());
    CHECK(!listed[size_t(planned.index)]);
    listed[size_t(planned.index)] = true;
    const ExpertWork& work = in.experts[size_t(planned.index)];
    if (planned.place == ExpertPlace::gpu) continue;
    CHECK(in.has_cpu);
    CHECK(!in.in_memory || work.resident);
  }
}

}  // namespace moesim
