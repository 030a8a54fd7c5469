#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "models/precision.h"
#include "sim/config/error.h"
#include "sim/run/compare.h"
#include "sim/run/runner.h"

namespace moesim {
namespace {

// Two servers of two GPUs; OLMoE has 64 experts in 16 layers of 3 x 2048 x 1024 weights in bf16.
constexpr int64_t kExpertBytes = 2 * 3 * 2048 * 1024;

TraceStore traces;

LoadedScenario loaded(const std::vector<std::string>& settings) {
  std::vector<std::string> all = {"/routing/trace=", "/routing/synthetic={\"popularity\":\"rotating\",\"period\":3}",
                                  "/batch=[{\"new_tokens\":100}]", "/steps=8"};
  all.insert(all.end(), settings.begin(), settings.end());
  return load_scenario(std::string(MOESIM_SOURCE_DIR) + "/tests/golden/scenarios/tiny-trace.json", all, traces);
}

Results run(const std::vector<std::string>& settings) { return run_scenario(loaded(settings), {}); }

const std::string kEveryThird = R"(/rebalance={"policy":{"policy":"every","steps":3},"prediction":"last"})";
const std::string kBackground =
    R"(/rebalance={"policy":{"policy":"every","steps":3},"prediction":"last","migration":"background"})";

double total_s(const Results& results) {
  double sum = 0;
  for (const StepResult& step : results.steps) sum += step.time_s;
  return sum;
}

TEST(Rebalancing, SaysNothingAndChangesNothingWhereItNeverHappens) {
  const Results results = run({});
  EXPECT_FALSE(results.rebalancing.has_value());
  for (const StepResult& step : results.steps) EXPECT_EQ(step.placement_age, step.step);
  EXPECT_EQ(run({"/rebalance={\"prediction\":\"last\",\"stall\":\"2 s\",\"migration\":\"background\"}"}).digest,
            results.digest);
}

// From blocks of 16 experts a GPU to expert modulo 4. An expert stays where e / 16 = e % 4: 4 of each block of 16 do.
// So 48 of 64 experts move in each of 16 layers; the second rebalance, to the same placement, moves none.
TEST(Rebalancing, MovesTheBytesThatChangeAndNoOthers) {
  const Results results =
      run({"/placement=contiguous", R"(/rebalance={"policy":{"policy":"every","steps":3},"placement":"round_robin"})"});
  ASSERT_TRUE(results.rebalancing.has_value());
  const RebalancingResult& rebalancing = *results.rebalancing;
  ASSERT_EQ(rebalancing.rebalances.size(), 2u);
  EXPECT_EQ(rebalancing.rebalances[0].copies, 48 * 16);
  EXPECT_EQ(rebalancing.rebalances[0].bytes, 48 * 16 * kExpertBytes);
  EXPECT_EQ(rebalancing.rebalances[1].copies, 0);
  EXPECT_EQ(rebalancing.bytes, 48 * 16 * kExpertBytes);
  // The rest of what was sent is what steps send: those with contiguous, then those with round robin.
  const Results before = run({"/placement=contiguous", "/steps=3"});
  const Results after = run({"/placement=round_robin"});
  const Results after_of_first = run({"/placement=round_robin", "/steps=3"});
  EXPECT_EQ(results.bytes_sent - rebalancing.bytes, before.bytes_sent + after.bytes_sent - after_of_first.bytes_sent);
}

TEST(Rebalancing, TakesEffectInTheStepAfterABlockingMigration) {
  const Results results = run({kEveryThird});
  const Results never = run({});
  ASSERT_EQ(results.rebalancing->rebalances.size(), 2u);  // after steps 2 and 5
  EXPECT_EQ(results.rebalancing->rebalances[0].after_step, 2);
  EXPECT_EQ(results.rebalancing->rebalances[0].first_step, 3);
  std::vector<int32_t> ages;
  for (const StepResult& step : results.steps) ages.push_back(step.placement_age);
  EXPECT_EQ(ages, (std::vector<int32_t>{0, 1, 2, 0, 1, 2, 0, 1}));
  for (size_t step = 0; step < 3; ++step) EXPECT_EQ(results.steps[step].time_s, never.steps[step].time_s);
  int32_t steps = 0;
  for (const AgeResult& age : results.rebalancing->ages) steps += age.steps;
  EXPECT_EQ(steps, 8);
}

// Throughput pays for stalls, steps do not. Nothing else uses the network, so the transfer takes at least as long as
// the bytes into the GPU that gets most would at the rate of its NVLink.
TEST(Rebalancing, CountsTheTimeInWhichNoStepRuns) {
  const Results results = run({kEveryThird});
  const RebalancingResult& rebalancing = *results.rebalancing;
  double stalled = 0;
  for (const RebalanceResult& one : rebalancing.rebalances) {
    EXPECT_EQ(one.stalled_s, one.transfer_s);
    EXPECT_GE(one.transfer_s, double(one.bytes) / 4 / 450e9);
    stalled += one.stalled_s;
  }
  EXPECT_NEAR(rebalancing.stalled_s, stalled, 1e-12);
  EXPECT_NEAR(results.tokens_per_s, 8.0 * double(results.tokens_per_step) / (total_s(results) + stalled),
              1e-9 * results.tokens_per_s);
  const Results slower =
      run({R"(/rebalance={"policy":{"policy":"every","steps":3},"prediction":"last","stall":"2 s"})"});
  EXPECT_NEAR(slower.rebalancing->stalled_s, stalled + 2 * 2.0, 1e-9);
  for (size_t step = 0; step < 8; ++step) EXPECT_NEAR(slower.steps[step].time_s, results.steps[step].time_s, 1e-9);
}

// Steps that run before the weights have arrived are those of the old placement: they route and compute as if there
// were no rebalancing. The first that differs begins after the arrival.
TEST(Rebalancing, KeepsTheOldPlacementUntilTheWeightsHaveArrived) {
  for (const char* network : {"flow", "packet", "ideal"}) {
    SCOPED_TRACE(network);
    const std::vector<std::string> settings = {std::string("/network=") + network, "/cluster/node/nic_rate=\"20 Gb/s\"",
                                               "/steps=12", "/batch=[{\"new_tokens\":20}]",
                                               "/routing/synthetic/period=100"};
    std::vector<std::string> background = settings;
    background.push_back(kBackground);
    const Results never = run(settings);
    const Results results = run(background);
    const std::vector<RebalanceResult>& rebalances = results.rebalancing->rebalances;
    ASSERT_FALSE(rebalances.empty());
    EXPECT_EQ(results.rebalancing->stalled_s, 0);
    const int32_t first = rebalances[0].first_step.value_or(12);
    EXPECT_GT(first, 3);  // the weights take longer than a step
    double arrived = rebalances[0].transfer_s;
    for (const StepResult& step : results.steps) {
      if (step.step <= 2) arrived += step.time_s;
      if (step.step >= first) continue;
      EXPECT_EQ(step.placement_age, step.step);
      EXPECT_EQ(step.gpu_load_max_over_mean, never.steps[size_t(step.step)].gpu_load_max_over_mean);
    }
    if (first == 12) continue;
    double begun = 0;
    for (int32_t step = 0; step < first; ++step) begun += results.steps[size_t(step)].time_s;
    EXPECT_LE(arrived, begun + 1e-9);
    EXPECT_EQ(results.steps[size_t(first)].placement_age, first - 3);
  }
}

// As the timeline has it: no task of a step with the new placement starts before all that brings weights is done. One
// rebalance after step 19 leaves the weights 20 steps to arrive in.
TEST(Rebalancing, ComputesNoExpertBeforeItsWeightsHaveArrived) {
  for (const char* migration : {"blocking", "background"}) {
    RunRecord record;
    const Results results =
        run_scenario(loaded({R"(/rebalance={"policy":{"policy":"every","steps":20},"prediction":"last"})",
                             std::string("/rebalance/migration=") + migration, "/steps=40"}),
                     {.record = &record});
    ASSERT_EQ(results.rebalancing->rebalances.size(), 1u);
    ASSERT_TRUE(results.rebalancing->rebalances[0].first_step.has_value());
    const int32_t first = *results.rebalancing->rebalances[0].first_step;
    Time arrived;
    Time started{INT64_MAX};
    for (const Slice& slice : record.timeline.slices) {
      if (unpack_label(slice.label).operation == Operation::migration)
        arrived = std::max(arrived, slice.end);
      else if (slice.step >= first)
        started = std::min(started, slice.start);
    }
    EXPECT_GT(arrived, Time{});
    EXPECT_GE(started, arrived);
    int64_t sent = 0;  // the matrix of GPU pairs has the weights too
    for (const int64_t bytes : record.pairs.bytes) sent += bytes;
    EXPECT_EQ(sent, results.bytes_sent);
  }
}

// They share the network, so steps beside a migration are slower, but nobody waits for it.
TEST(Rebalancing, InTheBackgroundSlowsStepsButStopsNone) {
  const Results never = run({"/cluster/node/nic_rate=\"20 Gb/s\""});
  const Results results = run({"/cluster/node/nic_rate=\"20 Gb/s\"", kBackground});
  EXPECT_EQ(results.rebalancing->stalled_s, 0);
  EXPECT_GT(results.steps[3].time_s, never.steps[3].time_s);
}

TEST(Rebalancing, FollowsAHotSetThatHasMoved) {
  const std::vector<std::string> settings = {"/routing/synthetic={\"popularity\":\"rotating\",\"period\":4,\"heat\":6}",
                                             "/batch=[{\"new_tokens\":1000}]", "/steps=8", "/parallelism/spare_slots=2",
                                             "/placement=eplb"};
  std::vector<std::string> followed = settings;
  followed.push_back(
      R"(/rebalance={"policy":{"policy":"threshold","max_over_mean":1.3,"pause":1},"prediction":"last"})");
  const Results never = run(settings);
  const Results results = run(followed);
  ASSERT_EQ(results.rebalancing->rebalances.size(), 1u);
  const RebalanceResult& rebalance = results.rebalancing->rebalances[0];
  EXPECT_EQ(rebalance.after_step, 4);  // the hot set moves before step 4, which shows it
  EXPECT_GT(rebalance.predicted_before, 1.3);
  EXPECT_LT(rebalance.predicted_after, 1.1);
  EXPECT_LT(results.steps[5].gpu_load_max_over_mean, 1.1);
  EXPECT_GT(never.steps[5].gpu_load_max_over_mean, 1.3);
  EXPECT_EQ(results.steps[4].gpu_load_max_over_mean, never.steps[4].gpu_load_max_over_mean);
}

// The invariants are CHECKed in each run.
TEST(Rebalancing, RunsWithEveryPlacement) {
  for (const auto& entry : Registry<PlacementPolicy>::instance().entries()) {
    if (entry.name == "file") continue;
    SCOPED_TRACE(entry.name);
    for (const std::string& rebalance : {kEveryThird, kBackground}) {
      const Results results =
          run({rebalance, "/placement=" + entry.name, "/parallelism={\"ep\":2,\"spare_slots\":2}", "/steps=5"});
      EXPECT_TRUE(results.complete);
      EXPECT_EQ(results.rebalancing->rebalances.size(), 1u);
    }
  }
}

TEST(Rebalancing, GivesTheSameResultsWithAnyNumberOfThreads) {
  std::vector<LoadedScenario> scenarios;
  for (const char* policy : {R"("never")", R"({"policy":"every","steps":2})", R"({"policy":"threshold","pause":1})"})
    for (const char* migration : {"blocking", "background"})
      scenarios.push_back(loaded({std::string("/rebalance/policy=") + policy,
                                  std::string("/rebalance/migration=") + migration, "/placement=eplb"}));
  const auto one = run_variants(scenarios, {.threads = 1});
  const auto three = run_variants(scenarios, {.threads = 3});
  for (size_t v = 0; v < scenarios.size(); ++v) {
    EXPECT_EQ(one[v].digest, three[v].digest);
    EXPECT_EQ(one[v].tokens_per_s, three[v].tokens_per_s);
  }
}

TEST(Rebalancing, KeepsAPlacementThatIsToBeJudged) {
  const LoadedScenario scenario = loaded({kEveryThird});
  PlacementInput in;
  in.layers = 16;
  in.experts = 64;
  in.gpus = 4;
  in.slots_per_gpu = 16;
  const Placement placement = contiguous_placement(in);
  EXPECT_FALSE(run_scenario(scenario, {.placement = &placement}).rebalancing.has_value());
}

std::string error_of(const std::vector<std::string>& settings) {
  try {
    run(settings);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Rebalancing, RefusesAPlacementThatDoesNotDependOnLoads) {
  EXPECT_NE(error_of({kEveryThird, R"(/placement={"policy":"file","path":"p.json"})"}).find("/rebalance"),
            std::string::npos);
}

// 16 experts of 12 MiB in each of 16 layers are 3 GiB a GPU. With a little more than what lies there already, they have
// no room beside those that serve.
TEST(Rebalancing, NamesTheBytesThatHaveNoRoomBesideTheOldOnes) {
  const std::string error = error_of({kBackground, "/placement=random", "/memory/usable=0.06"});
  EXPECT_NE(error.find("/rebalance/migration"), std::string::npos) << error;
  EXPECT_NE(error.find("GiB of experts would come to GPU"), std::string::npos) << error;
}

}  // namespace
}  // namespace moesim
