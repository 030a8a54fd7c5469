// Offloaded experts in whole runs: what must be equal, what must be no worse, and what a scenario may not ask for.
#include <gtest/gtest.h>

#include "sim/config/error.h"
#include "tests/support/offload_case.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

using Settings = std::vector<std::string>;

Settings with(Settings settings, const Settings& more) {
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

const Settings kAllThere = {"/offload/resident=1"};
const Settings kServer = {"/cluster/node/gpus=4", "/cluster/node/nics=4"};
const std::string kPrefill = "/batch=[{\"new_tokens\": 200}]";

// With all experts in the GPUs, offloading changes nothing.
TEST(Offload, OfNothingTakesTheTimeOfARunWithoutIt) {
  const OffloadCase test({.layers = 3, .experts = 8, .top_k = 2, .shared = 0});
  const Settings two_servers = {"/cluster/nodes=2", "/cluster/node/gpus=2", "/cluster/node/nics=2"};
  for (const Settings& machine : {Settings{}, kServer, with(kServer, {"/parallelism/ep=1"}), two_servers})
    for (const std::string& batch : {std::string("/batch=[{\"count\": 3, \"new_tokens\": 1}]"), kPrefill}) {
      const Settings settings = with(machine, {batch, "/steps=3"});
      const double plain = test.run_without(settings).step_time_s;
      EXPECT_EQ(test.run(with(settings, kAllThere)).step_time_s, plain);
    }
}

// Shared experts follow the routed ones' dispatch in an offloaded layer, where a run without offloading has them behind
// the dispatch: on one GPU, which dispatches nothing, that makes no difference.
TEST(Offload, OfNothingWithSharedExpertsIsTheSameOnOneGpu) {
  const OffloadCase test({.layers = 3, .experts = 8, .top_k = 2, .shared = 1});
  for (const Settings& batch : {Settings{}, Settings{kPrefill}})
    EXPECT_NEAR(test.run(with(batch, kAllThere)).step_time_s, test.run_without(batch).step_time_s, 1e-9);
  EXPECT_GE(test.run(with(kServer, kAllThere)).step_time_s, test.run_without(kServer).step_time_s);
}

// One expert a layer and step, all of one size: none that brings experts on demand hits more often than Belady's rule.
TEST(OracleCache, HitsAtLeastAsOftenAsAnyOther) {
  const OffloadCase test({.layers = 3, .experts = 8, .top_k = 1, .shared = 0});
  for (const char* partition : {"layer", "global"})
    for (const char* warm : {"true", "false"})
      for (const int seed : {1, 2}) {
        const Settings settings = {"/steps=50", fmt::format("/seed={}", seed), "/offload/resident=0.375",
                                   fmt::format("/offload/partition={}", partition),
                                   fmt::format("/offload/warm={}", warm)};
        const double best = test.run(with(settings, {"/offload/cache=oracle"})).offload->hit_rate;
        EXPECT_GT(best, 0.3);
        for (const auto& entry : Registry<CachePolicy>::instance().entries())
          EXPECT_LE(test.run(with(settings, {"/offload/cache=" + entry.name})).offload->hit_rate, best)
              << entry.name << " " << partition << " " << warm << " " << seed;
      }
}

// Room for all, so that prefetches drive nobody out, and an expert is 13 chunks: what a layer waits for is behind one
// of them at most.
TEST(Prefetch, DelaysALayerByAChunkAtMost) {
  const OffloadCase test({.layers = 3, .experts = 8, .top_k = 2, .shared = 0});
  const double chunk = 2e-6 + 500e3 / 50e9;
  for (const auto& entry : Registry<PrefetchPolicy>::instance().entries())
    for (const int seed : {1, 2, 3}) {
      const Settings settings = {"/offload/resident=1",
                                 "/offload/warm=false",
                                 "/offload/chunk=500 kB",
                                 "/offload/gpu_expert=20 us",
                                 "/steps=4",
                                 fmt::format("/seed={}", seed)};
      const Results none = test.run(settings);
      const Results ahead = test.run(with(settings, {"/offload/prefetch=" + entry.name}));
      EXPECT_LE(ahead.step_time_s, none.step_time_s + 3 * chunk + 1e-9) << entry.name << " " << seed;
    }
}

TEST(Offload, KeepsNoMoreOfAThousandStepsThanOfTen) {
  const OffloadCase test({.layers = 2, .experts = 4, .top_k = 1, .shared = 0});
  const Settings settings = {"/offload/resident=0.5", "/offload/prefetch=next_gate"};
  const Results ten = test.run(with(settings, {"/steps=10"}));
  const Results thousand = test.run(with(settings, {"/steps=1000"}));
  EXPECT_LE(ten.offload->over_time.size(), 64u);
  EXPECT_LE(thousand.offload->over_time.size(), 64u);
  EXPECT_GE(thousand.offload->over_time.size(), 32u);
  // Events of a step are of its own work alone.
  EXPECT_NEAR(double(thousand.events) / 1000, double(ten.events) / 10, 0.25 * double(ten.events) / 10);
}

TEST(Offload, WithoutACacheRunsAllOnTheCpu) {
  const OffloadCase test({.layers = 2, .experts = 4, .top_k = 2, .shared = 0});
  for (const char* prefetch : {"none", "next_gate"}) {
    const Results results = test.run({"/offload/capacity=0 B", "/offload/schedule=cpu_where_missing", "/steps=3",
                                      "/offload/cpu/per_token=10 us", std::string("/offload/prefetch=") + prefetch});
    EXPECT_EQ(results.offload->hit_rate, 0);
    EXPECT_EQ(results.offload->on_cpu, results.offload->accesses);
    EXPECT_EQ(results.offload->demand_bytes + results.offload->prefetch_bytes, 0);
  }
}

// What `check` and a run say of the scenario; empty where they say nothing.
std::string faults_of(const OffloadCase& test, const Settings& settings) {
  std::string text;
  try {
    check_scenario(test.load(settings));
  } catch (const ConfigError& error) {
    text = error.what();
  }
  try {
    test.run(settings);
    EXPECT_EQ(text, "");
  } catch (const ConfigError& error) {
    EXPECT_EQ(text, std::string(error.what()));
  }
  return text;
}

void expect_fault(const OffloadCase& test, const Settings& settings, const std::string& part) {
  const std::string text = faults_of(test, settings);
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(OffloadFaults, NameTheBytesOfACacheThatIsTooSmall) {
  const OffloadCase test({.layers = 2, .experts = 4, .top_k = 2, .shared = 0});
  for (const char* capacity : {"0 B", "6000000 B"})
    expect_fault(test, {std::string("/offload/capacity=") + capacity}, "one expert takes 6.00 MiB");
  expect_fault(test, {"/offload/capacity=7 MB"}, "room for 1 experts, fewer than the 2 MoE layers");
  EXPECT_EQ(faults_of(test, {"/offload/capacity=7 MB", "/offload/partition=global"}), "");
}

TEST(OffloadFaults, TellOfWholeLayersThatDoNotFitOrLeaveNoPlace) {
  const OffloadCase test({.layers = 2, .experts = 4, .top_k = 2, .shared = 0});
  const std::string whole = "/offload/whole_layers=1";
  expect_fault(test, {whole, "/offload/capacity=20 MB"}, "those of the `whole_layers` take 24.00 MiB");
  expect_fault(test, {whole, "/offload/capacity=26 MB"}, "beside those of the `whole_layers`");
  expect_fault(test, {whole, "/offload/capacity=26 MB", "/offload/partition=global"},
               "beside those of the `whole_layers`");
  EXPECT_EQ(faults_of(test, {whole, "/offload/capacity=32 MB"}), "");
  EXPECT_EQ(faults_of(test, {whole, "/offload/capacity=26 MB", "/offload/schedule=cpu_where_missing"}), "");
}

TEST(OffloadFaults, AreListedAllAtOnce) {
  const OffloadCase test({.layers = 2, .experts = 4, .top_k = 2, .shared = 0});
  const Settings settings = {"/offload/capacity=0 B", "/schedule=chunked", "/offload/host_cache=oracle",
                             "/offload/tiers=[{\"name\": \"nvme\", \"rate\": \"5 GB/s\"}]"};
  for (const char* part : {"/schedule:", "/offload/host_cache:", "/offload:", "/offload/host_memory:"})
    expect_fault(test, settings, part);
}

TEST(OffloadFaults, TellOfATierThatIsOnNoOtherServer) {
  const OffloadCase test({.layers = 2, .experts = 4, .top_k = 2, .shared = 0});
  const std::string tier = "/offload/tiers=[{\"name\": \"remote\", \"rate\": \"5 GB/s\", \"place\": \"network\"}]";
  expect_fault(test, {tier, "/offload/host_memory=20 MB"}, "needs a second server");
  EXPECT_EQ(faults_of(test, {tier, "/offload/host_memory=20 MB", "/cluster/nodes=2"}), "");
}

// A processor in the GPU's memory computes what lies there; the rest is copied, whatever the schedule.
TEST(OffloadFaults, TellOfAProcessorInTheGpuWithoutAPlaceForWhatIsMissing) {
  const OffloadCase test({.layers = 2, .experts = 4, .top_k = 2, .shared = 0});
  const Settings settings = {"/offload/cpu/in_memory=true", "/offload/cpu/per_token=10 us",
                             "/offload/schedule=cpu_where_missing"};
  expect_fault(test, with(settings, {"/offload/capacity=0 B"}), "one expert takes 6.00 MiB");
  EXPECT_EQ(faults_of(test, with(settings, {"/offload/resident=0.5"})), "");
}

}  // namespace
}  // namespace moesim
