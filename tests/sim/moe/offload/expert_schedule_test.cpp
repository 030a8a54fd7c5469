#include "sim/moe/offload/expert_schedule.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/expert_schedule_case.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

constexpr ExpertPlace kGpu = ExpertPlace::gpu;
constexpr ExpertPlace kCpu = ExpertPlace::cpu;
constexpr ExpertPlace kDeferred = ExpertPlace::deferred;

// 0 comes at 5 and runs to 6; 1 is there and runs from 0 to 2.
TEST(PlanTimes, LetsTheGpuPassOverAnExpertThatIsOnItsWay) {
  const ExpertCase c({{.gpu = 1_ms, .copy = 5_ms}, {.expert = 1, .resident = true, .gpu = 2_ms}});
  const PlanTimes times = plan_times(c.in, {{{0, kGpu}, {1, kGpu}}});
  EXPECT_EQ(times.gpu, 6_ms);
  EXPECT_EQ(times.copy, 5_ms);
  EXPECT_EQ(times.makespan(), 6_ms);
}

// 1 comes at 3 and runs to 4, 2 comes at 7 (copies go in the plan's order: 3 + 4) while 0, at 5, has run to 9: so 2
// runs from 9 to 11. Taking 0 first, the first of the plan, would have been done at 5 + 4 + 1 + 2 = 12.
TEST(PlanTimes, LetsTheGpuWaitForTheEarliestToArrive) {
  const ExpertCase c({{.arriving = true, .arrives = 5_ms, .gpu = 4_ms},
                      {.expert = 1, .gpu = 1_ms, .copy = 3_ms},
                      {.expert = 2, .gpu = 2_ms, .copy = 4_ms}});
  const PlanTimes times = plan_times(c.in, {{{0, kGpu}, {1, kGpu}, {2, kGpu}}});
  EXPECT_EQ(times.gpu, 11_ms);
  EXPECT_EQ(times.copy, 7_ms);
}

// A machine that never idles while there is work ends as late as some moment at which all that it still has to do has
// not arrived before.
TEST(PlanTimes, OfTheGpuAreThoseOfAnyMachineThatDoesNotIdle) {
  for_each_seed(300, [](Rng& rng) {
    ExpertCase c;
    fill_random_case(c, 8, rng);
    ExpertPlan plan;
    std::vector<Duration> ready;
    Duration bus = c.in.copies_busy;
    Duration work;
    for (int32_t i = 0; i < int32_t(c.experts.size()); ++i) {
      const ExpertWork& expert = c.experts[size_t(i)];
      plan.order.push_back({i, kGpu});
      if (!expert.resident && !expert.arriving) bus += expert.copy;
      ready.push_back(expert.resident ? 0_ps : expert.arriving ? expert.arrives : bus);
      work += expert.gpu;
    }
    Duration end = c.in.gpu_busy + work;
    for (const Duration from : ready) {
      Duration then = from;
      for (size_t i = 0; i < ready.size(); ++i)
        if (ready[i] >= from) then += c.experts[i].gpu;
      end = std::max(end, then);
    }
    EXPECT_EQ(plan_times(c.in, plan).gpu, end);
  });
}

// The copies arrive at 2 + 3 = 5 and 2 + 3 + 3 = 8, the GPU has shared experts until 4.
TEST(PlanTimes, StartsEachQueueWhereItIsFree) {
  ExpertCase c({{.gpu = 1_ms, .copy = 3_ms}, {.expert = 1, .gpu = 1_ms, .copy = 3_ms}});
  c.in.gpu_busy = 4_ms;
  c.in.copies_busy = 2_ms;
  c.in.cpu_busy = 7_ms;
  const PlanTimes times = plan_times(c.in, {{{0, kGpu}, {1, kGpu}}});
  EXPECT_EQ(times.gpu, 9_ms);
  EXPECT_EQ(times.copy, 8_ms);
  EXPECT_EQ(times.cpu, 7_ms);
}

// 2 before, 1 more for the first, then 3 and 4.
TEST(PlanTimes, CountsADeferredExpertOnlyForThoseBehindIt) {
  ExpertCase c({{.cpu = 3_ms, .copy = 9_ms}, {.expert = 1, .arriving = true, .arrives = 9_ms, .cpu = 4_ms}});
  c.in.cpu_busy = 2_ms;
  c.in.cpu_first = 1_ms;
  EXPECT_EQ(plan_times(c.in, {{{0, kCpu}, {1, kCpu}}}).cpu, 10_ms);
  EXPECT_EQ(plan_times(c.in, {{{0, kCpu}, {1, kDeferred}}}).cpu, 6_ms);
  EXPECT_EQ(plan_times(c.in, {{{1, kDeferred}, {0, kCpu}}}).cpu, 10_ms);
  EXPECT_EQ(plan_times(c.in, {{{1, kDeferred}, {0, kDeferred}}}).cpu, 2_ms);
  EXPECT_EQ(plan_times(c.in, {{{0, kCpu}, {1, kCpu}}}).copy, 0_ms);
}

TEST(PlanTimes, OfNothingAreWhatWasBusyBefore) {
  ExpertCase c;
  c.in.gpu_busy = 3_ms;
  c.in.cpu_busy = 4_ms;
  EXPECT_EQ(plan_times(c.in, {}).gpu, 3_ms);
  EXPECT_EQ(plan_times(c.in, {}).makespan(), 4_ms);
}

TEST(CheckPlan, FindsAnExpertThatIsMissingOrTwiceThere) {
  const ExpertCase c({{}, {.expert = 1}});
  EXPECT_NO_THROW(check_plan(c.in, {{{1, kGpu}, {0, kCpu}}}));
  EXPECT_THROW(check_plan(c.in, {{{1, kGpu}}}), InternalError);
  EXPECT_THROW(check_plan(c.in, {{{1, kGpu}, {1, kCpu}}}), InternalError);
  EXPECT_THROW(check_plan(c.in, {{{1, kGpu}, {2, kCpu}}}), InternalError);
  EXPECT_THROW(check_plan(c.in, {{{1, kGpu}, {-1, kCpu}}}), InternalError);
}

TEST(CheckPlan, FindsAnExpertWhereItCannotRun) {
  ExpertCase c({{.resident = true}, {.expert = 1}});
  c.in.in_memory = true;
  EXPECT_NO_THROW(check_plan(c.in, {{{0, kCpu}, {1, kGpu}}}));
  EXPECT_THROW(check_plan(c.in, {{{0, kGpu}, {1, kCpu}}}), InternalError);
  c.in.in_memory = false;
  c.in.has_cpu = false;
  EXPECT_THROW(check_plan(c.in, {{{0, kCpu}, {1, kGpu}}}), InternalError);
}

TEST(CheckPlan, FindsWhatTheLastLayerDefers) {
  ExpertCase c(std::vector<ExpertWork>{{.resident = true}});
  EXPECT_NO_THROW(check_plan(c.in, {{{0, kDeferred}}}));
  c.in.layer = c.in.layers - 1;
  EXPECT_THROW(check_plan(c.in, {{{0, kDeferred}}}), InternalError);
}

}  // namespace
}  // namespace moesim
