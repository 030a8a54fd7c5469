// What published systems with offloaded experts need of the engine beyond the policies.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "sim/config/atomic_file.h"
#include "sim/config/error.h"
#include "sim/run/runner.h"

namespace moesim {
namespace {

class ScenarioFile {
 public:
  explicit ScenarioFile(const std::string& text)
      : path_(std::filesystem::temp_directory_path() / ("moesim_offload_" + std::to_string(::getpid()) + ".json")) {
    write_file_atomically(path_.string(), text);
  }
  ~ScenarioFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  Results run(const std::vector<std::string>& settings) const {
    return run_scenario(load_scenario(path_.string(), settings, traces_), {});
  }

 private:
  std::filesystem::path path_;
  mutable TraceStore traces_;
};

// Mixtral's 8 experts of a layer, 352 MB each, at 8 GB/s: 44.04 ms each, 352.3 ms a layer, 11.27 s a step. Kernels of a
// token are hidden behind the copies, but for those of the last layer, which take less than 10 ms.
const char* const kStreamed = R"({
  "format_version": 1, "model": "mixtral-8x7b", "steps": 2,
  "cluster": {"node": {"gpu": "h100-sxm-80", "gpus": 1, "nics": 0, "pcie": "8 GB/s"}, "fabric": "single-node"},
  "batch": [{"new_tokens": 1}],
  "offload": {"partition": "global", "resident": 0.0626, "warm": false, "prefetch": "whole_layer",
              "whole_prefetches": true, "chunk": "1 GB", "copy_latency": "0 s", "copy_gap": "0 s", "references": false}
})";

TEST(WholePrefetches, MakeALayerWaitForExpertsThatItDoesNotNeed) {
  const ScenarioFile scenario(kStreamed);
  const double layers_s = 32 * 8 * 3.0 * 4096 * 14336 * 2 / 8e9;
  const Results whole = scenario.run({});
  EXPECT_GT(whole.step_time_max_s, layers_s);
  EXPECT_LT(whole.step_time_max_s, layers_s + 0.01);
  // Two of eight are needed; others are begun only where a layer leaves the bus time.
  const Results needed = scenario.run({"/offload/whole_prefetches=false"});
  EXPECT_LT(needed.step_time_max_s, layers_s * 0.6);
}

// Where the needed experts fill the cache, others have no place to come to, and nobody waits for them.
TEST(WholePrefetches, DoNotWaitForWhatHasNoPlace) {
  const ScenarioFile scenario(kStreamed);
  const Results results = scenario.run({"/offload/resident=0.008"});
  EXPECT_GT(results.step_time_s, 0);
}

// A token's keys and values of 100,000 tokens before it: 32 layers x 8 heads x 2 x 128 values of 2 bytes = 13.1 GB,
// which take 2.92 ms at 93.4 % of 4.8 TB/s and 0.66 ms at 20 TB/s; the rest of attention stays.
TEST(AttentionInMemory, ReadsKeysAndValuesAtTheProcessorsRate) {
  const ScenarioFile scenario(R"({
    "format_version": 1, "model": "mixtral-8x7b",
    "cluster": {"node": {"gpu": "h200-sxm-141", "gpus": 1, "nics": 0}, "fabric": "single-node"},
    "batch": [{"new_tokens": 1, "context": 100000}],
    "offload": {"resident": 0.5, "schedule": "on_demand", "references": false,
                "cpu": {"in_memory": true, "memory": "20 TB/s", "compute": "100 Tflop/s"}}
  })");
  const auto attention = [](const Results& results) {
    for (const OperationResult& entry : results.breakdown)
      if (entry.operation == "attention") return entry.exposed_s;
    return 0.0;
  };
  const double bytes = 32.0 * 8 * 2 * 128 * 2 * 100001;
  const double saved = attention(scenario.run({})) - attention(scenario.run({"/offload/cpu/attention=true"}));
  EXPECT_NEAR(saved, bytes / (4.8e12 * 0.934) - bytes / 20e12, 2e-4);
  EXPECT_THROW(scenario.run({"/offload/cpu/attention=true", "/offload/cpu/in_memory=false"}), ConfigError);
}

}  // namespace
}  // namespace moesim
