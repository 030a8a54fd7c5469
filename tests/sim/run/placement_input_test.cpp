#include "sim/run/placement_input.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "sim/config/atomic_file.h"
#include "sim/config/error.h"
#include "sim/run/placement_report.h"
#include "topologies/routes.h"

namespace moesim {
namespace {

TraceStore traces;

LoadedScenario load(const std::vector<std::string>& settings) {
  return load_scenario(std::string(MOESIM_SOURCE_DIR) + "/tests/golden/scenarios/tiny-trace.json", settings, traces);
}

// Two servers of two GPUs.
PlacementSetting tiny_setting(const std::vector<std::string>& settings = {}) {
  return placement_setting(load(settings));
}

// Each training token has 8 distinct choices in each layer, so 8 x 8 pairs with the next layer and 8 x 7 within one;
// a row of transitions sums to 8 times the expert's load.
TEST(PlacementInput, CountsPairsOfTheTrainingPart) {
  const PlacementSetting setting = tiny_setting({"/routing/train_fraction=0.01"});
  const PlacementInput& in = setting.input;
  const int64_t tokens = setting.routing.train_tokens;
  ASSERT_GT(tokens, 0);
  ASSERT_EQ(in.transitions.size() + 1, size_t(in.layers));
  ASSERT_EQ(in.together.size(), size_t(in.layers));
  const size_t experts = size_t(in.experts);
  for (size_t layer = 0; layer < in.together.size(); ++layer) {
    const auto& together = in.together[layer];
    EXPECT_EQ(std::accumulate(together.begin(), together.end(), int64_t{0}), tokens * 8 * 7);
    for (size_t a = 0; a < experts; ++a) {
      EXPECT_EQ(together[a * experts + a], 0);
      for (size_t b = 0; b < a; ++b) EXPECT_EQ(together[a * experts + b], together[b * experts + a]);
    }
  }
  for (size_t layer = 0; layer < in.transitions.size(); ++layer)
    for (size_t expert = 0; expert < experts; ++expert) {
      const auto row = in.transitions[layer].begin() + ptrdiff_t(expert * experts);
      EXPECT_EQ(std::accumulate(row, row + ptrdiff_t(experts), int64_t{0}), 8 * in.past_load[layer][expert]);
    }
}

// The sample tells its tokens' domains; drawn routing has none, and is cut into eight runs of tokens. Either way every
// token is in one part.
TEST(PlacementInput, DividesThePastIntoDomainsOrRuns) {
  const PlacementInput domains = tiny_setting().input;
  const PlacementInput runs = tiny_setting({"/routing/trace="}).input;
  EXPECT_EQ(domains.past_load_of_part.size(), 11u);
  EXPECT_EQ(runs.past_load_of_part.size(), 8u);
  for (const PlacementInput* in : {&domains, &runs})
    for (size_t layer = 0; layer < in->past_load.size(); ++layer)
      for (size_t expert = 0; expert < in->past_load[layer].size(); ++expert) {
        int64_t sum = 0;
        for (const auto& part : in->past_load_of_part) sum += part[layer][expert];
        EXPECT_EQ(sum, in->past_load[layer][expert]);
      }
}

TEST(PlacementInput, KnowsThePathsBetweenTheGpus) {
  const PlacementSetting setting = tiny_setting();
  const PlacementCosts& costs = setting.input.costs;
  const Topology& topology = setting.cluster.topology;
  Routes routes(topology, 1);
  ASSERT_EQ(costs.path.size(), 16u);
  for (int32_t from = 0; from < 4; ++from)
    for (int32_t to = 0; to < 4; ++to) {
      const auto& path = costs.path[size_t(from * 4 + to)];
      if (from == to) {
        EXPECT_TRUE(path.empty());
        continue;
      }
      const Path real = routes.path(vertex_of(topology, GpuId(from)), vertex_of(topology, GpuId(to)), 0);
      ASSERT_EQ(path.size(), real.size());
      double slowest = 0;
      for (const int32_t link : path) slowest = std::max(slowest, costs.link_s[size_t(link)]);
      EXPECT_DOUBLE_EQ(slowest, 1 / narrowest(topology, real).bytes_per_s);
    }
  EXPECT_EQ(costs.distance, (std::vector<std::vector<double>>{{0, 1, 2, 2}, {1, 0, 2, 2}, {2, 2, 0, 1}, {2, 2, 1, 0}}));
  EXPECT_EQ(costs.dispatch_bytes, 2 * 2048);  // bf16
  ASSERT_EQ(costs.token_s.size(), 4u);
  // OLMoE's expert does 2 x 3 x 2048 x 1024 operations a token: no faster than an H100's 989 Tflop/s allow.
  EXPECT_GT(costs.token_s[0], 6.0 * 2048 * 1024 / 989e12);
  EXPECT_LT(costs.token_s[0], 20 * 6.0 * 2048 * 1024 / 989e12);
}

TEST(PlacementInput, HasTheSpareSlotsOfTheScenarioAndTheirMemory) {
  EXPECT_EQ(tiny_setting().input.slots_per_gpu, 16);
  EXPECT_EQ(tiny_setting({"/parallelism/spare_slots=3"}).input.slots_per_gpu, 19);
  const auto weights = [](const char* spare) {
    return run_scenario(load({spare, "/steps=1"}), {}).gpu_list[0].memory.weights_experts;
  };
  EXPECT_EQ(weights("/parallelism/spare_slots=16"), 2 * weights("/parallelism/spare_slots=0"));
}

// Four GPUs; a list for two of them repeats, so both servers are alike.
TEST(PlacementInput, HasTheSlotsOfEachGpuAndTheirMemory) {
  const PlacementInput in = tiny_setting({"/parallelism/slots=[12,20]"}).input;
  EXPECT_EQ(in.slots, (std::vector<int32_t>{12, 20, 12, 20}));
  const LoadedScenario loaded = load({"/parallelism/slots=[12,20]", "/steps=1"});
  check_scenario(loaded);
  const Results results = run_scenario(loaded, {});
  EXPECT_EQ(20 * results.gpu_list[0].memory.weights_experts, 12 * results.gpu_list[1].memory.weights_experts);
  EXPECT_TRUE(tiny_setting({"/parallelism/slots=[17]"}).input.slots.empty());
  EXPECT_EQ(tiny_setting({"/parallelism/slots=[17]"}).input.slots_per_gpu, 17);
}

TEST(PlacementInput, RefusesSlotsThatDoNotDoForAllExperts) {
  try {
    tiny_setting({"/parallelism/slots=[15]"});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.faults()[0].path, "/parallelism/slots");
  }
  EXPECT_THROW(load({"/parallelism/slots=[20]", "/parallelism/spare_slots=1"}), ConfigError);
}

// Every second GPU takes twice as long for each kernel: so says what placements know, and so run its tasks.
TEST(PlacementInput, KnowsGpusOfDifferentSpeeds) {
  const std::vector<double> even = tiny_setting().input.costs.token_s;
  const std::vector<double> token_s = tiny_setting({"/cluster/gpu_speeds=[1,0.5]"}).input.costs.token_s;
  EXPECT_EQ(token_s, (std::vector<double>{even[0], 2 * even[1], even[2], 2 * even[3]}));
  const auto step_s = [](const std::string& speeds) {
    return run_scenario(load({"/steps=1", "/cluster/gpu_speeds=" + speeds}), {}).step_time_s;
  };
  EXPECT_EQ(step_s("[1]"), step_s("[]"));
  EXPECT_GT(step_s("[1,0.5]"), 1.5 * step_s("[1]"));
  EXPECT_LE(step_s("[0.5]"), 2 * step_s("[1]") * (1 + 1e-9));
}

struct PlacementOnDisk {
  explicit PlacementOnDisk(const PlacementFile& file)
      : path(testing::TempDir() + "moesim-placement-" + std::to_string(::getpid()) + ".json") {
    write_file_atomically(path, placement_file_text(file));
  }
  ~PlacementOnDisk() { std::filesystem::remove(path); }
  std::string setting() const { return R"(/placement={"policy": "file", "path": ")" + path + "\"}"; }
  std::string path;
};

PlacementTrial trial_of(const char* policy, const PlacementSetting& setting) {
  PlacementTrial trial;
  trial.policy = policy;
  trial.scenario = load({"/placement=" + std::string(policy), "/steps=1"});
  trial.placement = decide_placement(trial.scenario, setting.input);
  trial.results = run_scenario(trial.scenario, {.placement = &trial.placement});
  return trial;
}

TEST(PlacementFile, RunsAsThePolicyThatItCameFrom) {
  const PlacementSetting setting = tiny_setting();
  const PlacementTrial greedy = trial_of("greedy", setting);
  const PlacementOnDisk file(placement_file(setting, greedy));
  const LoadedScenario loaded = load({file.setting(), "/steps=1"});
  check_scenario(loaded);
  EXPECT_EQ(run_scenario(loaded, {}).digest, greedy.results.digest);
  EXPECT_EQ(run_scenario(greedy.scenario, {}).digest, greedy.results.digest);
}

TEST(PlacementFile, IsRefusedWhereItDoesNotFitTheScenario) {
  const PlacementSetting setting = tiny_setting();
  const PlacementOnDisk file(placement_file(setting, trial_of("greedy", setting)));
  const auto error_with = [&](const std::vector<std::string>& more) -> std::string {
    std::vector<std::string> settings = {file.setting()};
    settings.insert(settings.end(), more.begin(), more.end());
    try {
      check_scenario(load(settings));
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(error_with({}), "no error");
  EXPECT_NE(error_with({"/cluster/nodes=4"}).find("is for 4 GPUs, not 8"), std::string::npos);
  EXPECT_NE(error_with({"/placement/path=/nowhere.json"}).find("/placement/path"), std::string::npos);
  EXPECT_NE(error_with({"/placement=file"}).find("missing key \"path\""), std::string::npos);
}

// The ideal and the relaxed bound are below every placement, on what it was made from and on what it is judged by.
TEST(PlacementReport, JudgesEveryPolicyAboveItsBounds) {
  const PlacementSetting setting = tiny_setting({"/steps=1"});
  std::vector<PlacementTrial> trials;
  for (const char* const policy : {"greedy", "contiguous", "random"}) trials.push_back(trial_of(policy, setting));
  const PlacementReport report = placement_report(setting, trials);
  ASSERT_TRUE(report.complete);
  EXPECT_EQ(report.trained_on.tokens, report.judged_on.first_token);
  EXPECT_TRUE(report.judged_apart);
  ASSERT_EQ(report.bounds.size(), 2u);
  for (const JudgedPlacement& one : report.policies) {
    SCOPED_TRACE(one.policy);
    for (const PlacementBound& bound : report.bounds)
      for (size_t layer = 0; layer < 16; ++layer) {
        EXPECT_GE(one.load_max_over_mean[layer], bound.load_max_over_mean[layer] - 1e-9);
        EXPECT_GE(one.trained_max_over_mean[layer], bound.trained_max_over_mean[layer] - 1e-9);
      }
    EXPECT_GE(one.cross_gpu_bytes_per_token, one.cross_node_bytes_per_token);
  }
  // Greedy is made for the loads that it knows.
  EXPECT_LT(report.policies[0].trained_mean, report.policies[1].trained_mean);
  EXPECT_LE(report.bounds[0].step_time_s, report.bounds[1].step_time_s);
  EXPECT_LE(report.bounds[1].step_time_s, report.policies[0].step_time_s);
  EXPECT_NE(placement_report_text(report).find("no token is in both"), std::string::npos);
}

}  // namespace
}  // namespace moesim
