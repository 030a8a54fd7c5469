#include "sim/moe/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/core/check.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

ScheduleInput random_input(Rng& rng) {
  ScheduleInput in;
  for (uint64_t layers = 1 + rng.below(6); layers > 0; --layers) in.layer_is_moe.push_back(rng.below(3) > 0);
  in.has_shared_experts = rng.below(2) == 0;
  in.has_tp = rng.below(2) == 0;
  return in;
}

Schedule schedule(const char* policy, const ScheduleInput& in) {
  Rng rng(1);
  const auto* const entry = Registry<SchedulePolicy>::instance().find(policy);
  return entry->decide(in, entry->default_options(), rng);
}

TEST(EverySchedule, DoesEveryOperationOfEveryLayerOnce) {
  for (const auto& entry : Registry<SchedulePolicy>::instance().entries())
    for (uint64_t seed = 0; seed < 100; ++seed) {
      SCOPED_TRACE(entry.name);
      SCOPED_TRACE(seed);
      Rng rng(seed);
      const ScheduleInput in = random_input(rng);
      check_schedule(entry.decide(in, entry.default_options(), rng), in);
    }
}

TEST(Sequential, PutsEverythingInOneChainOnOneLane) {
  ScheduleInput in;
  in.layer_is_moe = {false, true};
  in.has_shared_experts = true;
  const Schedule steps = schedule("sequential", in);
  std::vector<Operation> operations;
  for (size_t i = 0; i < steps.size(); ++i) {
    operations.push_back(steps[i].operation);
    EXPECT_EQ(steps[i].lane, Lane::compute);
    if (i > 0) {
      EXPECT_EQ(steps[i].after, std::vector<int32_t>{int32_t(i) - 1});
    }
  }
  using enum Operation;
  EXPECT_EQ(operations, (std::vector<Operation>{attention, dense, attention, gate, dispatch, experts, shared, combine,
                                                unpermute, lm_head}));
}

// Two chunks: the dispatch of the second waits for the gate alone, so it may run beside the experts of the first.
TEST(Chunked, LetsADispatchRunBesideTheExpertsOfAnotherChunk) {
  ScheduleInput in;
  in.layer_is_moe = {true};
  const Schedule steps = schedule("chunked", in);
  const auto find = [&](Operation operation, int32_t part) {
    const auto found = std::find_if(steps.begin(), steps.end(), [&](const ScheduledOperation& step) {
      return step.operation == operation && step.part == part;
    });
    return int32_t(found - steps.begin());
  };
  const int32_t gate = find(Operation::gate, 0);
  EXPECT_EQ(steps[size_t(find(Operation::dispatch, 1))].after, std::vector<int32_t>{gate});
  EXPECT_EQ(steps[size_t(find(Operation::experts, 0))].after, std::vector<int32_t>{find(Operation::dispatch, 0)});
  EXPECT_NE(steps[size_t(find(Operation::dispatch, 0))].lane, steps[size_t(find(Operation::combine, 0))].lane);
  EXPECT_EQ(steps[size_t(find(Operation::unpermute, 0))].after.size(), 2u);
}

TEST(CheckSchedule, FindsAnOperationThatIsMissing) {
  ScheduleInput in;
  in.layer_is_moe = {true};
  Schedule steps = schedule("sequential", in);
  steps[2].operation = Operation::gate;  // the dispatch
  EXPECT_THROW(check_schedule(steps, in), InternalError);
}

}  // namespace
}  // namespace moesim
