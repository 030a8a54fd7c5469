// Eager launches, and scenarios that take their times from a profile.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "sim/config/atomic_file.h"
#include "sim/config/error.h"
#include "sim/config/json_text.h"
#include "sim/run/runner.h"

namespace moesim {
namespace {

class ProfileFolder {
 public:
  ProfileFolder() : folder_(std::filesystem::temp_directory_path() / ("moesim_launch_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~ProfileFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::string write(const std::string& name, const std::string& text) const {
    write_file_atomically((folder_ / name).string(), text);
    return (folder_ / name).string();
  }

 private:
  std::filesystem::path folder_;
};

// Kernels that take no time at all: what is left is the host's.
DeviceProfile host_bound(Duration issue, Duration issue_collective) {
  DeviceProfile profile;
  profile.name = "h100-sxm/test";
  profile.gpu = "h100-sxm-80";
  profile.stack = "made up";
  profile.host = {issue, issue, issue_collective};
  return profile;
}

const char* const kScenario = R"({
  "format_version": 1, "model": "olmoe-1b-7b", "profile": "profile.json", "launch": "eager",
  "cluster": {"nodes": 1, "node": {"gpus": 1, "nics": 1}},
  "batch": [{"count": 1, "new_tokens": 1, "context": 10}]
})";

TraceStore traces;

Results run(const std::string& scenario, const std::vector<std::string>& settings = {}) {
  return run_scenario(load_scenario(scenario, settings, traces), {});
}

// With 10 ms a launch the GPU waits for the host: a step is as long as its launches, and one launch more is 10 ms.
TEST(EagerLaunch, BoundsAStepByTheHost) {
  const ProfileFolder folder;
  folder.write("profile.json", json_text(host_bound(10_ms, 10_ms)));
  const std::string scenario = folder.write("scenario.json", kScenario);
  const Results slow_host = run(scenario);
  folder.write("profile.json", json_text(host_bound(20_ms, 20_ms)));
  const Results slower_host = run(scenario);
  EXPECT_NEAR(slower_host.step_time_s / slow_host.step_time_s, 2, 0.01);
  const double launches = slow_host.step_time_s / 10e-3;
  EXPECT_NEAR(launches, std::round(launches), 0.05);
  EXPECT_GT(launches, 16 * 10);  // 16 layers of well over ten kernels each
  EXPECT_GT(slow_host.idle_s, 0.9 * slow_host.step_time_s);
}

TEST(EagerLaunch, IsNeverFasterThanAGraph) {
  const ProfileFolder folder;
  folder.write("profile.json", json_text(host_bound(1_us, 1_us)));
  const std::string scenario = folder.write("scenario.json", kScenario);
  EXPECT_GE(run(scenario).step_time_s, run(scenario, {"/launch=graph"}).step_time_s);
}

// Who sets what a collective takes sets it for small ones too.
TEST(Profile, GivesSmallMessagesTheirCostsWhereNobodySaysOtherwise) {
  const ProfileFolder folder;
  DeviceProfile profile = host_bound(1_us, 1_us);
  profile.collectives.point_to_point = 2_us;
  profile.collectives.small_messages = SmallMessages{4_us, 1_us, Rate{1e11}};
  folder.write("profile.json", json_text(profile));
  const std::string scenario = folder.write("scenario.json", kScenario);
  const auto stack = [&](const std::vector<std::string>& settings) {
    return load_scenario(scenario, settings, traces).scenario.communication.stack;
  };
  EXPECT_EQ(stack({}).point_to_point, 2_us);
  EXPECT_EQ(stack({}).small_messages->launch, 4_us);
  EXPECT_FALSE(stack({"/communication/launch=\"5 us\""}).small_messages);
}

TEST(Profile, GivesResultsTheirSourceAndCollectivesTheirCosts) {
  const ProfileFolder folder;
  DeviceProfile profile = host_bound(1_us, 1_us);
  profile.collectives.launch = 77_us;
  profile.scale_up = Rate{100e9};
  folder.write("profile.json", json_text(profile));
  const std::string scenario = folder.write("scenario.json", kScenario);
  const LoadedScenario loaded = load_scenario(scenario, {}, traces);
  EXPECT_EQ(loaded.scenario.communication.stack.launch, 77_us);
  EXPECT_EQ(loaded.scenario.cluster.node.nvlink, Rate{100e9});
  EXPECT_NE(run(scenario).time_source.find("h100-sxm/test"), std::string::npos);
  EXPECT_EQ(load_scenario(scenario, {"/communication/launch=\"5 us\""}, traces).scenario.communication.stack.launch,
            5_us);
}

TEST(Profile, IsScaledByDataSheetsToAnotherGpuAndSaysSo) {
  const ProfileFolder folder;
  folder.write("profile.json", json_text(host_bound(1_us, 1_us)));
  const std::string scenario = folder.write("scenario.json", kScenario);
  const Results results = run(scenario, {"/cluster/node/gpu=h200-sxm-141"});
  EXPECT_NE(results.time_source.find("scaled by data sheets"), std::string::npos);
  EXPECT_FALSE(results.model_error);
}

std::string faults_of(const std::string& scenario, const std::vector<std::string>& settings) {
  try {
    load_scenario(scenario, settings, traces);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Profile, IsTheOnlySourceOfTimesWhereItIsGiven) {
  const ProfileFolder folder;
  folder.write("profile.json", json_text(host_bound(1_us, 1_us)));
  const std::string scenario = folder.write("scenario.json", kScenario);
  EXPECT_NE(faults_of(scenario, {"/cost/gemm/launch=\"1 us\""}).find("/cost: comes from the profile"),
            std::string::npos);
  EXPECT_NE(faults_of(scenario, {"/profile=\"\""}).find("/launch: eager needs a `profile`"), std::string::npos);
  EXPECT_NE(faults_of(scenario, {"/profile=h100/none"}).find("unknown profile"), std::string::npos);
}

}  // namespace
}  // namespace moesim
