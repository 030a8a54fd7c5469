#include "sim/moe/offload/expert_schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/support/expert_schedule_case.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

using Entry = Registry<ExpertSchedulePolicy>::Entry;

// On random layers with up to so many experts.
template <class Test>
void for_each_policy(size_t experts_max, Test test) {
  for (const Entry& entry : Registry<ExpertSchedulePolicy>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    for_each_seed(300, [&](Rng& rng) {
      ExpertCase c;
      fill_random_case(c, experts_max, rng);
      test(entry, c.in, entry.decide(c.in, entry.default_options(), rng));
    });
  }
}

TEST(EveryExpertSchedule, PutsEachExpertOnceWhereItCanRun) {
  for_each_policy(14,
                  [](const Entry&, const ExpertScheduleInput& in, const ExpertPlan& plan) { check_plan(in, plan); });
}

TEST(EveryExpertSchedule, DoesWhatItsTraitsSay) {
  for_each_policy(14, [](const Entry& entry, const ExpertScheduleInput& in, const ExpertPlan& plan) {
    for (const PlannedExpert& planned : plan.order) {
      const ExpertWork& work = in.experts[size_t(planned.index)];
      if (!entry.traits.uses_cpu) {
        EXPECT_EQ(planned.place, ExpertPlace::gpu);
      }
      if (!entry.traits.copies && can_run_beside(in, work)) {
        EXPECT_TRUE(work.resident || planned.place != ExpertPlace::gpu);
      }
    }
  });
}

TEST(EveryExpertSchedule, DependsOnItsInputAlone) {
  for_each_policy(14, [](const Entry& entry, const ExpertScheduleInput& in, const ExpertPlan& plan) {
    Rng other(99);
    const ExpertPlan again = entry.decide(in, entry.default_options(), other);
    EXPECT_EQ(places(in, again), places(in, plan));
    EXPECT_EQ(order_at(again, ExpertPlace::gpu), order_at(plan, ExpertPlace::gpu));
  });
}

TEST(EveryExpertSchedule, EndsNoEarlierThanEachQueueHasWork) {
  for_each_policy(14, [](const Entry&, const ExpertScheduleInput& in, const ExpertPlan& plan) {
    const PlanTimes times = plan_times(in, plan);
    Duration gpu = in.gpu_busy;
    Duration cpu = in.cpu_busy;
    Duration copy = in.copies_busy;
    for (const PlannedExpert& planned : plan.order) {
      const ExpertWork& work = in.experts[size_t(planned.index)];
      if (planned.place == ExpertPlace::cpu) cpu += work.cpu;
      if (planned.place != ExpertPlace::gpu) continue;
      gpu += work.gpu;
      if (work.arriving) {
        EXPECT_GE(times.gpu, work.arrives + work.gpu);
      }
      if (!work.resident && !work.arriving) copy += work.copy;
    }
    EXPECT_GE(times.gpu, gpu);
    EXPECT_GE(times.cpu, cpu);
    EXPECT_EQ(times.copy, copy);
    EXPECT_EQ(times.makespan(), std::max(times.gpu, times.cpu));
  });
}

ExpertPlan without_deferral(ExpertPlan plan) {
  for (PlannedExpert& planned : plan.order)
    if (planned.place == ExpertPlace::deferred) planned.place = ExpertPlace::cpu;
  return plan;
}

bool is_solved_exactly(const ExpertScheduleInput& in) {
  bool same_copies = true;
  bool arriving = false;
  for (const ExpertWork& work : in.experts) {
    same_copies = same_copies && work.copy == in.experts[0].copy;
    arriving = arriving || work.arriving;
  }
  return same_copies || !arriving;
}

TEST(Exhaustive, IsNeverWorseThanAnyOther) {
  for_each_policy(8, [](const Entry&, const ExpertScheduleInput& in, const ExpertPlan& plan) {
    if (!is_solved_exactly(in)) return;
    EXPECT_LE(plan_times(in, plan_by("exhaustive", in)).makespan(), plan_times(in, without_deferral(plan)).makespan());
  });
}

// All splits in all orders: at most 2^5 x 5! = 3,840.
Duration least_makespan(const ExpertScheduleInput& in) {
  Duration least = Duration{INT64_MAX};
  const size_t experts = in.experts.size();
  std::vector<int32_t> order(experts);
  std::iota(order.begin(), order.end(), 0);
  do
    for (uint32_t beside = 0; beside < (1u << experts); ++beside) {
      ExpertPlan plan;
      bool can_be = true;
      for (const int32_t i : order) {
        const bool on_cpu = (beside >> i & 1) != 0;
        can_be = can_be && (!on_cpu || can_run_beside(in, in.experts[size_t(i)]));
        plan.order.push_back({i, on_cpu ? ExpertPlace::cpu : ExpertPlace::gpu});
      }
      if (can_be) least = std::min(least, plan_times(in, plan).makespan());
    }
  while (std::next_permutation(order.begin(), order.end()));
  return least;
}

TEST(Exhaustive, IsAsGoodAsAnySplitInAnyOrder) {
  for_each_seed(150, [](Rng& rng) {
    ExpertCase c;
    fill_random_case(c, 5, rng);
    if (!is_solved_exactly(c.in)) return;
    EXPECT_EQ(plan_times(c.in, plan_by("exhaustive", c.in)).makespan(), least_makespan(c.in));
  });
}

TEST(Exhaustive, LeavesMoreExpertsToThreeQueues) {
  for_each_seed(50, [](Rng& rng) {
    ExpertCase c;
    fill_random_case(c, 12, rng);
    if (c.experts.size() < 5) return;
    EXPECT_EQ(places(c.in, plan_by("exhaustive", c.in, R"("experts_max": 4)")),
              places(c.in, plan_by("three_queues", c.in)));
  });
}

}  // namespace
}  // namespace moesim
