#include "sim/moe/offload/expert_schedule.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {
namespace {

struct Arrival {
  Duration at;
  Duration gpu;
};

// As the GPU never idles while an expert is there, it ends when it would if it took them as they arrive: which it takes
// first of those that are there changes nothing.
Duration gpu_done(std::vector<Arrival>& queue, Duration busy) {
  std::sort(queue.begin(), queue.end(), [](const Arrival& a, const Arrival& b) { return a.at < b.at; });
  Duration now = busy;
  for (const Arrival& expert : queue) now = std::max(now, expert.at) + expert.gpu;
  return now;
}

}  // namespace

Duration PlanTimes::makespan() const { return std::max(gpu, cpu); }

PlanTimes plan_times(const ExpertScheduleInput& in, const ExpertPlan& plan) {
  PlanTimes times;
  times.cpu = in.cpu_busy;
  times.copy = in.copies_busy;
  std::vector<Arrival> queue;
  queue.reserve(plan.order.size());
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
    CHECK(can_run_beside(in, work));
    CHECK(planned.place != ExpertPlace::deferred || in.layer + 1 < in.layers);
  }
}

}  // namespace moesim
