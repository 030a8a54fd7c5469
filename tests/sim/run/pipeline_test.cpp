// Steps whose weights stream through one GPU, as whole scenarios.
#include "sim/run/pipeline.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "sim/config/atomic_file.h"
#include "sim/config/error.h"
#include "sim/moe/offload/throughput_model.h"
#include "sim/run/runner.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

class Folder {
 public:
  Folder() : folder_(std::filesystem::temp_directory_path() / ("moesim_pipeline_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~Folder() {
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

TraceStore traces;

Results run(const std::string& scenario, const std::vector<std::string>& settings) {
  return run_scenario(load_scenario(scenario, settings, traces), {});
}

int64_t carried(const Results& results, const std::string& link) {
  for (const LinkResult& result : results.links)
    if (result.link == link) return result.bytes;
  return 0;
}

// A small model, and a batch on it. Sizes are even, so that halves of them are whole.
struct SmallCase {
  int64_t layers, hidden, heads, kv_heads, head_dim, experts, top_k, intermediate;
  int64_t requests, context, micro_batch;
  bool on_cpu;
  double weights, cache;

  explicit SmallCase(Rng& rng)
      : layers(rng.between(1, 4)),
        hidden(64 * rng.between(1, 8)),
        heads(4 * rng.between(1, 4)),
        kv_heads(2),
        head_dim(16 * rng.between(1, 4)),
        experts(rng.between(2, 8)),
        top_k(rng.between(1, 2)),
        intermediate(32 * rng.between(1, 16)),
        requests(rng.between(1, 40)),
        context(8 * rng.between(1, 200)),
        micro_batch(rng.between(1, requests)),
        on_cpu(rng.below(2) == 0),
        weights(0.25 * double(rng.below(5))),
        cache(on_cpu ? 0 : 0.5 * double(rng.below(3))) {}

  std::string model() const {
    return fmt::format(
        R"({{"format_version": 1, "name": "small", "layers": {}, "hidden": {}, "heads": {}, "kv_heads": {}, "head_dim": {},
            "attention": "gqa", "experts": {}, "top_k": {}, "moe_intermediate": {}, "vocab": 512}})",
        layers, hidden, heads, kv_heads, head_dim, experts, top_k, intermediate);
  }

  std::string scenario(const std::string& order) const {
    return fmt::format(
        R"({{"format_version": 1, "model": "model.json", "steps": 2,
            "cluster": {{"node": {{"gpu": "a40-48", "gpus": 1, "nics": 1, "sockets": 1}}, "fabric": "single-node"}},
            "batch": [{{"count": {}, "new_tokens": 1, "context": {}}}],
            "pipeline": {{"order": "{}", "micro_batch": {}, "attention": "{}", "resident_weights": {}, "resident_cache": {}}}}})",
        requests, context, order, micro_batch, on_cpu ? "cpu" : "gpu", weights, cache);
  }

  // In 16 bits: q, k, v and output; gate; experts of three matrices.
  int64_t weights_that_travel() const {
    const int64_t attention = hidden * head_dim * (2 * heads + 2 * kv_heads);
    const int64_t layer = 2 * (attention + hidden * experts + 3 * experts * hidden * intermediate);
    return layers * (layer - int64_t(double(layer) * weights));
  }
  int64_t cache_of_token() const { return layers * 2 * 2 * kv_heads * head_dim; }
  int64_t to_gpu() const {
    const int64_t results = 2 * layers * requests * heads * head_dim;
    const auto past = int64_t(double(requests * context * cache_of_token()) * (1 - cache));
    return weights_that_travel() + (on_cpu ? results : past);
  }
  int64_t to_host() const {
    const int64_t queries = 2 * layers * requests * heads * head_dim;
    const auto fresh = int64_t(double(requests * cache_of_token()) * (1 - cache));
    return fresh + (on_cpu ? queries : 0);
  }
};

TEST(Pipeline, MovesWhatIsNotOnTheGpuAndNothingElseToTheByte) {
  const Folder folder;
  for (const auto& order : Registry<PipelineOrder>::instance().entries())
    for_each_seed(40, [&](Rng& rng) {
      SCOPED_TRACE(order.name);
      const SmallCase c(rng);
      folder.write("model.json", c.model());
      const Results results = run(folder.write("scenario.json", c.scenario(order.name)), {});
      EXPECT_EQ(carried(results, "node0/pcie0 -> node0/gpu0"), 2 * c.to_gpu());
      EXPECT_EQ(carried(results, "node0/gpu0 -> node0/pcie0"), 2 * c.to_host());
      const PipelineResult& pipeline = *results.pipeline;
      EXPECT_EQ(pipeline.weights_bytes, c.weights_that_travel());
      EXPECT_EQ(pipeline.weights_bytes + pipeline.cache_in_bytes + pipeline.activations_in_bytes, c.to_gpu());
      EXPECT_EQ(pipeline.cache_out_bytes + pipeline.activations_out_bytes, c.to_host());
      EXPECT_EQ(pipeline.micro_batches, (c.requests + c.micro_batch - 1) / c.micro_batch);
      for (const double busy : {pipeline.gpu_s, pipeline.bus_in_s, pipeline.bus_out_s, pipeline.cpu_s})
        EXPECT_GE(results.step_time_s, busy * (1 - 1e-9));
      EXPECT_EQ(results.gpu_list[0].expert_rows, 2 * c.layers * c.requests * c.top_k);
    });
}

const char* const kMixtral = R"({
  "format_version": 1, "model": "mixtral-8x7b",
  "cluster": {"node": {"gpu": "a40-48", "cpu": "xeon-platinum-8380", "gpus": 1, "nics": 1, "sockets": 1,
                       "pcie": "19.5 GB/s"}, "fabric": "single-node"},
  "batch": [{"count": 64, "new_tokens": 1, "context": 114}],
  "pipeline": {"micro_batch": 16}
})";

// MoE-Lens' delta: the model's bytes over the bus. With few requests nothing else counts, if weights come beside work.
TEST(Pipeline, TakesTheTimeOfTheWeightsWhereTheyBoundIt) {
  const Folder folder;
  const std::string scenario = folder.write("scenario.json", kMixtral);
  const LoadedScenario loaded = load_scenario(scenario, {}, traces);
  const Duration streaming = streaming_time(Bytes{2 * total_parameters(loaded.model)}, Rate{19.5e9});
  for (const char* order : {"cgopipe", "vslpipe", "layerwise"}) {
    SCOPED_TRACE(order);
    const Results results = run(scenario, {std::string("/pipeline/order=") + order});
    EXPECT_NEAR(results.step_time_s / streaming.seconds(), 1, 0.02);
    EXPECT_EQ(results.pipeline->busiest, "bus to the GPU");
  }
  const Results late = run(scenario, {"/pipeline/order=on_demand"});
  const double one_after_the_other = late.pipeline->bus_in_s + late.pipeline->gpu_s;
  EXPECT_GT(late.step_time_s, one_after_the_other * 0.98);
}

// A GPU with all weights and all keys and values has nothing to wait for: a step is its kernels, whatever the order.
TEST(Pipeline, IsTheGpusWorkAloneWhereEverythingIsResident) {
  const Folder folder;
  const std::string scenario = folder.write("scenario.json", kMixtral);
  const std::vector<std::string> resident{"/model=olmoe-1b-7b", "/pipeline/attention=gpu",
                                          "/pipeline/resident_weights=1", "/pipeline/resident_cache=1"};
  for (const auto& order : Registry<PipelineOrder>::instance().entries()) {
    std::vector<std::string> settings = resident;
    settings.push_back("/pipeline/order=" + order.name);
    const Results results = run(scenario, settings);
    EXPECT_EQ(results.bytes_sent, 0);
    EXPECT_NEAR(results.step_time_s, results.pipeline->gpu_s, 1e-9);
  }
}

// Of 2,048 requests of 4,096 tokens the CPU reads 1.1 TB a step, so it is the bound, and is named.
TEST(Pipeline, NamesTheCpuWhereItsAttentionIsTheBound) {
  const Folder folder;
  const std::string scenario = folder.write("scenario.json", kMixtral);
  const Results results = run(scenario, {"/batch/0/count=2048", "/batch/0/context=4096", "/pipeline/micro_batch=512"});
  EXPECT_EQ(results.pipeline->busiest, "CPU");
  EXPECT_EQ(results.bounds.holds, "CPU: node0/cpu0");
  // 2,048 x 4,097 x 131,072 B at 0.73 x 204.8 - 19.5 = 130 GB/s; the flops, a twentieth of that time, count little.
  EXPECT_NEAR(results.pipeline->cpu_s, 2048.0 * 4097 * 131072 / (0.73 * 204.8e9 - 19.5e9),
              0.01 * results.pipeline->cpu_s);
}

TEST(Pipeline, ComputesAPrefillWithAttentionOnTheGpu) {
  const Folder folder;
  const std::string scenario = folder.write("scenario.json", kMixtral);
  const std::vector<std::string> prefill{"/batch/0/new_tokens=64", "/batch/0/context=0", "/pipeline/attention=gpu"};
  const Results results = run(scenario, prefill);
  EXPECT_EQ(results.pipeline->cache_in_bytes, 0);
  EXPECT_EQ(results.pipeline->cache_out_bytes, 64 * 64 * 131072);
}

std::string fault_of(const std::string& scenario, const std::vector<std::string>& settings) {
  try {
    check_scenario(load_scenario(scenario, settings, traces));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Pipeline, SaysEverythingThatItCannotBeCombinedWithAtOnce) {
  const Folder folder;
  const std::string scenario = folder.write("scenario.json", kMixtral);
  EXPECT_EQ(fault_of(scenario, {}), "");
  const std::string faults = fault_of(scenario, {"/cluster/node/gpus=2", "/batch/0/new_tokens=2", "/speculation={}",
                                                 "/rebalance={\"policy\":\"every\"}", "/schedule=chunked",
                                                 "/pipeline/resident_cache=0.5", "/parallelism={\"spare_slots\":1}"});
  for (const char* path : {"/pipeline: ", "/pipeline/attention: ", "/speculation: ", "/rebalance: ", "/schedule: ",
                           "/pipeline/resident_cache: ", "/parallelism: "})
    EXPECT_NE(faults.find(path), std::string::npos) << path << faults;
}

TEST(Pipeline, SaysWhatDoesNotFit) {
  const Folder folder;
  const std::string scenario = folder.write("scenario.json", kMixtral);
  EXPECT_NE(fault_of(scenario, {"/pipeline/resident_weights=0.8"}).find("resident weights and embeddings"),
            std::string::npos);
  EXPECT_NE(fault_of(scenario, {"/pipeline/host_memory=64 GiB"}).find("/pipeline/host_memory"), std::string::npos);
}

TEST(Pipeline, CountsItsBuffersAsMemoryOfTheGpu) {
  const Folder folder;
  const std::string scenario = folder.write("scenario.json", kMixtral);
  const auto memory = [&](const char* order) {
    return run(scenario, {std::string("/pipeline/order=") + order}).gpu_list[0].memory;
  };
  // Attention 2 x 4,096 x (4,096 + 1,024), gate 8 x 4,096, experts 8 x 3 x 4,096 x 14,336, in 16 bits.
  const int64_t layer = 2 * (int64_t{2} * 4096 * 5120 + 8 * 4096 + int64_t{24} * 4096 * 14336);
  EXPECT_EQ(memory("layerwise").total - memory("on_demand").total, layer);
  EXPECT_EQ(memory("layerwise").weights_experts, 0);
}

}  // namespace
}  // namespace moesim
