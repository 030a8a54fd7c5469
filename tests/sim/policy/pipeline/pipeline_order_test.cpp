#include <gtest/gtest.h>

#include <algorithm>

#include "sim/config/json.h"
#include "sim/config/reader.h"
#include "sim/core/check.h"
#include "sim/core/random.h"
#include "sim/moe/offload/pipeline.h"

namespace moesim {
namespace {

PipelineInput random_input(Rng& rng) {
  PipelineInput in;
  in.layers = int32_t(rng.between(1, 6));
  in.micro_batches = int32_t(rng.between(1, 9));
  in.streams = rng.below(4) > 0;
  in.receives = rng.below(2) == 0;
  in.fetches = !in.receives && rng.below(2) == 0;
  in.sends = in.receives || in.fetches;
  in.layer_weights = Bytes{rng.between(1, 900'000'000)};
  for (int32_t layer = 0; layer < in.layers; ++layer) in.project_share.push_back(rng.uniform());
  return in;
}

PipelinePlan plan_of(const char* order, const PipelineInput& in) {
  Rng rng(1);
  const auto* const entry = Registry<PipelineOrder>::instance().find(order);
  return entry->decide(in, entry->default_options(), rng);
}

PipelineInput two_layers(int32_t micro_batches) {
  PipelineInput in;
  in.layers = 2;
  in.micro_batches = micro_batches;
  in.layer_weights = Bytes{350'000'000};
  in.project_share = {0.1, 0.1};
  return in;
}

size_t place(const PipelinePlan& plan, const PipelineTask& task) {
  const auto found = std::find(plan.tasks.begin(), plan.tasks.end(), task);
  EXPECT_NE(found, plan.tasks.end());
  return size_t(found - plan.tasks.begin());
}

TEST(EveryPipelineOrder, IssuesEverythingOnceAndAfterWhatItNeeds) {
  for (const auto& entry : Registry<PipelineOrder>::instance().entries())
    for (uint64_t seed = 0; seed < 300; ++seed) {
      SCOPED_TRACE(entry.name);
      SCOPED_TRACE(seed);
      Rng rng(seed);
      const PipelineInput in = random_input(rng);
      check_plan(entry.decide(in, entry.default_options(), rng), in);
    }
}

TEST(CheckPlan, FindsATaskThatIsMissingOrComesTooEarly) {
  const PipelineInput in = two_layers(2);
  PipelinePlan missing = plan_of("cgopipe", in);
  missing.tasks.pop_back();
  EXPECT_THROW(check_plan(missing, in), InternalError);
  PipelinePlan early = plan_of("cgopipe", in);
  std::swap(early.tasks.front(), early.tasks.back());
  EXPECT_THROW(check_plan(early, in), InternalError);
}

// Of four micro-batches each waits for one page at most; the CPU has two of them before the first is finished.
TEST(Cgopipe, PutsOnePageBetweenActivationsAndAttendsTwoAhead) {
  using enum PipelineWork;
  const PipelinePlan plan = plan_of("cgopipe", two_layers(4));
  EXPECT_TRUE(plan.one_queue);
  EXPECT_EQ(plan.pages, 4);
  for (int32_t m = 0; m + 1 < 4; ++m) {
    EXPECT_LT(place(plan, {receive, 0, m}), place(plan, {load, 1, m}));
    EXPECT_LT(place(plan, {load, 1, m}), place(plan, {receive, 0, m + 1}));
  }
  EXPECT_LT(place(plan, {attend, 0, 1}), place(plan, {finish, 0, 0}));
  EXPECT_LT(place(plan, {finish, 0, 0}), place(plan, {attend, 0, 2}));
  EXPECT_LT(place(plan, {attend, 1, 0}), place(plan, {finish, 0, 3}));
}

TEST(Layerwise, LoadsTheNextLayerWhileThisOneIsComputed) {
  using enum PipelineWork;
  PipelineInput in = two_layers(2);
  in.receives = false;
  in.fetches = true;
  const PipelinePlan plan = plan_of("layerwise", in);
  EXPECT_EQ(plan.pages, 1);
  EXPECT_LT(place(plan, {load, 1, 0}), place(plan, {project, 0, 0}));
  EXPECT_LT(place(plan, {fetch, 0, 1}), place(plan, {finish, 0, 0}));
  EXPECT_LT(place(plan, {fetch, 1, 0}), place(plan, {finish, 0, 1}));
}

// One wait a micro-batch and layer.
TEST(Layerwise, WaitsAfterEachMicroBatchWhereToldSo) {
  const JsonNode options = parse_json("{\"policy\": \"layerwise\", \"wait\": true}", "options");
  PolicyChoice<PipelineOrder> choice;
  std::vector<Fault> faults;
  choice.read(options, Place{}, faults);
  ASSERT_TRUE(faults.empty());
  Rng rng(1);
  const PipelinePlan plan = choice.decide(two_layers(3), rng);
  check_plan(plan, two_layers(3));
  EXPECT_EQ(std::count(plan.tasks.begin(), plan.tasks.end(), PipelineTask{PipelineWork::wait, 0, 0}), 2 * 3);
}

TEST(OnDemand, HasRoomForOneLayerAndLoadsItWhenItIsDue) {
  using enum PipelineWork;
  const PipelinePlan plan = plan_of("on_demand", two_layers(2));
  EXPECT_EQ(plan.buffers, 1);
  EXPECT_EQ(place(plan, {load, 0, 0}), 0u);
  EXPECT_LT(place(plan, {finish, 0, 1}), place(plan, {load, 1, 0}));
}

// 350 MB in packets of 100 MB.
TEST(Vslpipe, MovesPacketsAndLetsGroupsAlternate) {
  using enum PipelineWork;
  const PipelinePlan plan = plan_of("vslpipe", two_layers(2));
  EXPECT_EQ(plan.pages, 4);
  EXPECT_FALSE(plan.one_queue);
  const std::vector<PipelineTask> turns{{attend, 0, 0}, {attend, 0, 1}, {finish, 0, 0}, {attend, 1, 0},
                                        {finish, 0, 1}, {attend, 1, 1}, {finish, 1, 0}, {finish, 1, 1}};
  for (size_t turn = 0; turn + 1 < turns.size(); ++turn)
    EXPECT_LT(place(plan, turns[turn]), place(plan, turns[turn + 1]));
}

}  // namespace
}  // namespace moesim
