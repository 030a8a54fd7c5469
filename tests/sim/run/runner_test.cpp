#include "sim/run/runner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "sim/config/atomic_file.h"
#include "sim/config/error.h"
#include "sim/run/compare.h"

namespace moesim {
namespace {

std::string golden(const std::string& name) {
  return std::string(MOESIM_SOURCE_DIR) + "/tests/golden/scenarios/" + name;
}

// Shared by all tests; entries never move.
TraceStore traces;

Results run(const std::string& name, const std::vector<std::string>& settings = {}) {
  return run_scenario(load_scenario(golden(name), settings, traces), {});
}

std::vector<std::string> golden_scenarios() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(golden("")))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// Exposed times and idle time are a partition of the step, and no bound beats it. The invariants of docs/invariants.md
// are CHECKed inside.
TEST(RunScenario, AccountsForAllTimeOfEveryGpu) {
  for (const std::string& name : golden_scenarios()) {
    SCOPED_TRACE(name);
    const Results results = run(name);
    EXPECT_TRUE(results.complete);
    double sum = results.idle_s;
    for (const OperationResult& operation : results.breakdown) sum += operation.exposed_s;
    EXPECT_NEAR(sum, results.step_time_s, 1e-9 * results.step_time_s);
    for (const GpuResult& gpu : results.gpu_list)
      EXPECT_NEAR(gpu.compute_s + gpu.exposed_communication_s + gpu.idle_s, results.step_time_s,
                  1e-9 * results.step_time_s);
    for (const double bound : {results.bounds.critical_path_s, results.bounds.compute_s, results.bounds.link_s})
      EXPECT_LE(bound, results.step_time_s * (1 + 1e-9) + 1e-9);
    for (const LinkResult& link : results.links) EXPECT_LE(link.utilisation, 1.0);
  }
}

TEST(RunScenario, GivesTheSameDigestAgainAndAnotherForAnotherSeed) {
  for (const std::string& name : golden_scenarios()) {
    SCOPED_TRACE(name);
    EXPECT_EQ(run(name).digest, run(name).digest);
    EXPECT_NE(run(name).digest, run(name, {"/seed=2"}).digest);
  }
}

// The digests in tests/golden/digests.txt hold for every compiler and build type. MOESIM_WRITE_GOLDEN=1 writes them
// anew; a commit that does so says why results changed.
TEST(RunScenario, GivesTheGoldenDigests) {
  const std::string file = std::string(MOESIM_SOURCE_DIR) + "/tests/golden/digests.txt";
  std::string digests;
  for (const std::string& name : golden_scenarios()) digests += name + " " + run(name).digest + "\n";
  if (std::getenv("MOESIM_WRITE_GOLDEN") != nullptr) write_file_atomically(file, digests);
  EXPECT_EQ(read_text_file(file, 1 << 20), digests);
}

// Without contention nothing is slower.
TEST(RunScenario, IsNoSlowerOnAnIdealNetwork) {
  for (const std::string& name : golden_scenarios()) {
    SCOPED_TRACE(name);
    EXPECT_LE(run(name, {"/network=ideal"}).step_time_s, run(name, {"/network=flow"}).step_time_s * (1 + 1e-6));
  }
}

// A placement on one server of the hottest experts' load cannot send more copies than one an expert, and none leaves
// a single GPU.
TEST(RunScenario, SendsNothingOnOneGpu) {
  const Results results = run("tiny-trace.json", {"/cluster/nodes=1", "/cluster/node/gpus=1", "/cluster/node/nics=0",
                                                  "/cluster/fabric=single-node"});
  EXPECT_EQ(results.bytes_sent, 0);
  EXPECT_EQ(results.flows, 0);
  EXPECT_DOUBLE_EQ(results.gpu_load_max_over_mean, 1.0);
}

// Top-k choices of a token reach at most min(k, GPUs) of them, and at least one.
TEST(RunScenario, DeliversOneCopyAGpuAtMost) {
  for (const LayerResult& layer : run("tiny-trace.json").layers) {
    EXPECT_GE(layer.copies_per_token, 1.0);
    EXPECT_LE(layer.copies_per_token, 4.0);
  }
  for (const LayerResult& layer : run("tiny-trace.json", {"/communication/token_copies=per_expert"}).layers)
    EXPECT_DOUBLE_EQ(layer.copies_per_token, 8.0);
}

// The invariants are CHECKed in each run. Two servers of four GPUs; experts over all of them.
TEST(RunScenario, RunsWithEveryCollective) {
  for (const auto& entry : Registry<AllToAllAlgorithm>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    const Results results = run("tiny-mixed.json", {"/communication/all_to_all=" + entry.name, "/parallelism/ep=8"});
    EXPECT_TRUE(results.complete);
    EXPECT_GT(results.bytes_sent, 0);
  }
  for (const auto& entry : Registry<ReductionAlgorithm>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    EXPECT_TRUE(run("tiny-mixed.json", {"/communication/reduction=" + entry.name}).complete);
  }
}

// What leaves the servers: the same for all that send each token to each GPU, fewer bytes with one copy a server.
TEST(RunScenario, CrossesTheFabricOnceAServerWhereCopiesAreLimitedToIt) {
  const auto fabric_bytes = [](const std::string& algorithm) {
    int64_t bytes = 0;
    for (const LinkResult& link :
         run("tiny-mixed.json", {"/communication/all_to_all=" + algorithm, "/parallelism/ep=8"}).links)
      if (link.kind == "nic") bytes += link.bytes;
    return bytes;
  };
  const int64_t direct = fabric_bytes("direct");
  EXPECT_EQ(fabric_bytes("pairwise"), direct);
  EXPECT_EQ(fabric_bytes("hierarchical"), direct);
  EXPECT_EQ(fabric_bytes("low_latency"), direct);
  EXPECT_LT(fabric_bytes("node_limited"), direct);
  EXPECT_GT(fabric_bytes(R"({"policy": "low_latency", "nvlink": false})"), direct);
}

TEST(RunScenario, StopsCleanlyAndSaysThatItIsIncomplete) {
  const std::atomic<bool> stop = true;
  const Results results = run_scenario(load_scenario(golden("tiny-trace.json"), {}, traces), {.stop = &stop});
  EXPECT_FALSE(results.complete);
  EXPECT_TRUE(results.steps.empty());
}

TEST(RunVariants, GivesTheSameResultsWithAnyNumberOfThreads) {
  const std::vector<Variant> variants = variants_of({"/placement=contiguous,greedy,random", "/seed=1,2"});
  ASSERT_EQ(variants.size(), 6u);
  std::vector<LoadedScenario> scenarios;
  for (const Variant& variant : variants)
    scenarios.push_back(load_scenario(golden("tiny-trace.json"), variant.settings, traces));
  const auto one = run_variants(scenarios, {.threads = 1});
  const auto three = run_variants(scenarios, {.threads = 3});
  for (size_t v = 0; v < variants.size(); ++v) EXPECT_EQ(one[v].digest, three[v].digest);
}

TEST(VariantsOf, KeepsCommasInsideJson) {
  const auto variants = variants_of({R"(/schedule="sequential",{"policy":"chunked","chunks":4})", "/steps=1,2"});
  ASSERT_EQ(variants.size(), 4u);
  EXPECT_EQ(variants[2].settings,
            (std::vector<std::string>{R"(/schedule={"policy":"chunked","chunks":4})", "/steps=1"}));
  EXPECT_EQ(variants[3].label, R"({"policy":"chunked","chunks":4}, 2)");
}

std::string error_of(const std::string& name, const std::vector<std::string>& settings) {
  try {
    check_scenario(load_scenario(golden(name), settings, traces));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(CheckScenario, NamesTheBytesThatDoNotFit) {
  const std::string error = error_of("tiny-trace.json", {"/model=deepseek-v3", "/routing/trace="});
  EXPECT_NE(error.find("GPU 0 needs"), std::string::npos) << error;
  EXPECT_NE(error.find("weights of routed experts"), std::string::npos) << error;
}

TEST(CheckScenario, RefusesATraceOfAnotherNumberOfExperts) {
  EXPECT_NE(error_of("tiny-trace.json", {"/model=qwen3-30b-a3b"}).find("it has 64 experts but"), std::string::npos);
}

TEST(CheckScenario, RefusesATraceOfFewerChoicesThanTheModelMakes) {
  EXPECT_EQ(error_of("tiny-trace.json", {"/model=deepseek-v2-lite"}), "no error");  // top-6 of 64: choices are cut
  EXPECT_NE(
      error_of("tiny-trace.json", {"/model=olmoe-1b-7b", "/routing/trace=no-such-file.h5"}).find("no-such-file.h5"),
      std::string::npos);
}

TEST(CheckScenario, ReportsWhatDoesNotDivide) {
  const std::string error = error_of("tiny-trace.json", {"/parallelism={\"tp\":3,\"ep\":3}"});
  EXPECT_NE(error.find("/parallelism/tp: 3 must divide the 2 GPUs of a server"), std::string::npos) << error;
  EXPECT_NE(error.find("/parallelism/ep: 3 must divide the 4 GPUs"), std::string::npos) << error;
}

// 16 GPUs and Mixtral's 8 experts: two groups of 8.
TEST(RunScenario, SpreadsExpertsNoFurtherThanThereAreExperts) {
  const Results results = run("tiny-trace.json", {"/model=mixtral-8x7b", "/routing/trace=", "/cluster/node/gpus=8"});
  EXPECT_EQ(results.gpus, 16);
  for (const LayerResult& layer : results.layers) EXPECT_EQ(layer.cross_node_fraction, 0.0);
}

TEST(LoadScenario, SuggestsNamesOfModelsGpusAndPolicies) {
  const std::string error =
      error_of("tiny-trace.json", {"/model=olmo-1b-7b", "/cluster/node/gpu=h100-sxm-8", "/placement=gredy"});
  EXPECT_NE(error.find("did you mean \"olmoe-1b-7b\"?"), std::string::npos) << error;
  EXPECT_NE(error.find("did you mean \"h100-sxm-80\"?"), std::string::npos) << error;
  EXPECT_NE(error.find("did you mean \"greedy\"?"), std::string::npos) << error;
}

}  // namespace
}  // namespace moesim
