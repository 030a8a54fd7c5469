#include "sim/run/pipeline.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "models/memory.h"
#include "sim/core/check.h"
#include "sim/core/random.h"
#include "sim/run/names.h"
#include "sim/run/offload/memories.h"
#include "topologies/routes.h"

namespace moesim {
namespace {

constexpr int32_t kPartsMax = 4095;         // what a task's label holds
constexpr double kCpuBoundOfBusiest = 0.8;  // of the critical path, as for other resources

bool attends_on_cpu(const Scenario& scenario) { return scenario.pipeline->attention == AttentionPlace::cpu; }

void add_batch_faults(const LoadedScenario& loaded, std::vector<Fault>& faults) {
  const Scenario& scenario = loaded.scenario;
  const auto fault = [&](const char* path, std::string message) {
    faults.push_back(fault_at(loaded.root, path, std::move(message)));
  };
  size_t requests = 0;
  bool alike = true;
  bool prefill = false;
  for (const RequestConfig& request : scenario.batch) {
    requests += size_t(request.count);
    alike &= request.new_tokens == scenario.batch.front().new_tokens;
    prefill |= request.new_tokens > 1;
  }
  if (!alike) fault("/batch", "all requests must have as many new tokens with a `pipeline`");
  if (prefill && attends_on_cpu(scenario))
    fault("/pipeline/attention", "runs on the CPU in decode only; a prefill needs `gpu`");
  if (micro_batches(*scenario.pipeline, requests) > kPartsMax)
    fault("/pipeline/micro_batch", fmt::format("makes {} micro-batches of {} requests; {} is the most",
                                               micro_batches(*scenario.pipeline, requests), requests, kPartsMax));
}

void add_attention_faults(const LoadedScenario& loaded, std::vector<Fault>& faults) {
  if (!attends_on_cpu(loaded.scenario)) return;
  if (loaded.scenario.pipeline->resident_cache > 0)
    faults.push_back(fault_at(loaded.root, "/pipeline/resident_cache",
                              "is of attention on the GPU; the CPU attends where the keys and values are"));
  bool softmax = loaded.model.encoder_layers == 0;
  for (int32_t layer = 0; layer < loaded.model.layers; ++layer) softmax &= is_softmax_layer(loaded.model, layer);
  if (!softmax)
    faults.push_back(
        fault_at(loaded.root, "/pipeline/attention",
                 fmt::format("{} has linear or encoder layers, which run on the GPU; take `gpu`", loaded.model.name)));
}

// Beside weights that travel attention has what they leave of the socket's memory, and half of it at least.
CpuAttentionRates cpu_rates(const LoadedScenario& loaded, Rate bus) {
  const PipelineSettings& settings = *loaded.scenario.pipeline;
  CpuAttentionRates rates = cpu_attention_rates(loaded.cpu);
  rates.memory = settings.cpu_memory.value_or(rates.memory);
  rates.compute = settings.cpu_compute.value_or(rates.compute);
  const double travels = settings.resident_weights < 1 ? bus.bytes_per_s : 0;
  rates.memory = {std::max(rates.memory.bytes_per_s - travels, rates.memory.bytes_per_s / 2)};
  return rates;
}

Bytes host_bytes(const LoadedScenario& loaded, std::span<const Request> requests) {
  const PipelineSettings& settings = *loaded.scenario.pipeline;
  const LlmPrecision& precision = loaded.scenario.precision.model;
  Bytes bytes;
  for (int32_t layer = 0; layer < loaded.model.layers; ++layer)
    bytes += travelling(layer_weights(loaded.model, precision, layer), settings.resident_weights) +
             travelling(attention_data(loaded.model, precision, layer, requests).cache_read, settings.resident_cache);
  return bytes;
}

Bytes resident(Bytes whole, double share) { return whole - travelling(whole, share); }

// Of the GPU, by what fills it.
struct GpuMemory {
  Bytes attention;
  Bytes experts;
  Bytes other;
  Bytes buffers;  // for layers of weights that travel
  Bytes cache;
  Bytes activations;
};

GpuMemory gpu_memory(const LoadedScenario& loaded, const std::vector<Request>& requests) {
  const PipelineSettings& settings = *loaded.scenario.pipeline;
  const LlmSpec& llm = loaded.model;
  const StepModel model{llm, {}, {loaded.gpu, {}}, loaded.scenario.precision.model, Launch::graph, {}, {}};
  const PipelineSetup setup{model, settings, requests, {}, {}, {}, {}, {}};
  const PipelineInput in = pipeline_input(setup);
  Rng rng = Rng::stream(loaded.scenario.seed, "pipeline");
  const int32_t buffers = settings.order.decide(in, rng).buffers;

  MemoryShare share;
  share.precision = model.precision;
  share.experts = int64_t{llm.experts} * moe_layers(llm);
  share.cached_requests = int64_t(requests.size());
  for (const Request& request : requests) share.cached_tokens += request.context + request.new_tokens;
  share.batch_tokens = (new_tokens(requests) + in.micro_batches - 1) / in.micro_batches;
  share.expert_rows = share.batch_tokens * llm.top_k;
  const MemoryUse all = memory_use(llm, share);

  GpuMemory use;
  use.attention = resident(all.attention, settings.resident_weights);
  use.experts = resident(all.experts, settings.resident_weights);
  use.other = resident(all.dense + all.shared, settings.resident_weights) + all.embeddings;
  use.buffers = buffers * in.layer_weights;
  // Hidden states of all requests, and what one micro-batch needs besides.
  use.activations = all.activations + bytes_of(new_tokens(requests) * llm.hidden, Precision::bf16);
  if (in.receives) return use;
  Bytes fetched;  // keys and values of a micro-batch in a layer
  for (int32_t layer = 0; layer < llm.layers; ++layer)
    for (int32_t m = 0; m < in.micro_batches && in.fetches; ++m)
      fetched =
          std::max(fetched, travelling(attention_data(llm, model.precision, layer, requests_of(setup, m)).cache_read,
                                       settings.resident_cache));
  use.cache = resident(all.cache, settings.resident_cache) + 2 * fetched;
  return use;
}

}  // namespace

void check_pipeline(const LoadedScenario& loaded, const Cluster& cluster) {
  const Scenario& scenario = loaded.scenario;
  if (!scenario.pipeline) return;
  std::vector<Fault> faults;
  const auto fault_if = [&](bool wrong, const char* path, std::string message) {
    if (wrong) faults.push_back(fault_at(loaded.root, path, std::move(message)));
  };
  fault_if(cluster.layout.gpus > 1, "/pipeline", fmt::format("is for one GPU, but there are {}", cluster.layout.gpus));
  fault_if(nearest_socket(cluster.topology, cluster.topology.gpus.front()) == kNoVertex, "/cluster/fabric",
           "has no CPU that weights could come from");
  fault_if(scenario.speculation.has_value(), "/speculation", "does nothing with a `pipeline`, on one GPU");
  fault_if(scenario.rebalance.policy.name() != "never", "/rebalance", "does nothing with a `pipeline`, on one GPU");
  fault_if(scenario.parallelism.spare_slots > 0 || !scenario.parallelism.slots.empty(), "/parallelism",
           "has expert slots of its own; with a `pipeline` each expert has one place");
  fault_if(scenario.parallelism.context_coherent, "/parallelism/context_coherent", "is for several GPUs");
  fault_if(scenario.launch == Launch::eager, "/launch", "must be `graph` with a `pipeline`");
  fault_if(scenario.schedule.name() != "sequential", "/schedule", "is replaced by the `pipeline`'s order");
  add_batch_faults(loaded, faults);
  add_attention_faults(loaded, faults);
  throw_if_any(loaded.source, std::move(faults));
}

MemoryResult plan_pipeline_memory(const LoadedScenario& loaded, const Batch& batch, Bytes capacity) {
  const PipelineSettings& settings = *loaded.scenario.pipeline;
  const std::vector<Request>& requests = batch.ranks.front();
  const GpuMemory use = gpu_memory(loaded, requests);
  const Bytes weights = use.attention + use.experts + use.other;
  const Bytes total = weights + use.buffers + use.cache + use.activations;
  const auto gib = [](Bytes bytes) { return double(bytes.count) / double(1 << 30); };
  if (total > capacity)
    throw ConfigError(
        loaded.source,
        {fault_at(loaded.root, "/pipeline",
                  fmt::format("the GPU needs {:.2f} GiB but {} has {:.2f} GiB usable: buffers for layers of weights "
                              "{:.2f} GiB, resident weights and embeddings {:.2f} GiB, keys and values {:.2f} GiB, "
                              "activations {:.2f} GiB. Smaller micro-batches or resident parts would make it fit",
                              gib(total), loaded.gpu.name, gib(capacity), gib(use.buffers), gib(weights),
                              gib(use.cache), gib(use.activations)))});
  const Bytes host = host_bytes(loaded, requests);
  if (settings.host_memory && host > *settings.host_memory)
    throw ConfigError(loaded.source,
                      {fault_at(loaded.root, "/pipeline/host_memory",
                                fmt::format("is {:.2f} GiB, but weights, keys and values need {:.2f} GiB of the host",
                                            gib(*settings.host_memory), gib(host)))});
  MemoryResult result;
  result.weights_attention = use.attention.count;
  result.weights_experts = use.experts.count;
  result.weights_other = use.other.count;
  result.kv_cache = use.cache.count;
  result.activations = (use.activations + use.buffers).count;
  result.total = total.count;
  result.capacity = capacity.count;
  return result;
}

Pipeline::Pipeline(const LoadedScenario& loaded, const Cluster& cluster, const StepModel& model, const Batch& batch,
                   RoutedPaths& paths)
    : requests_(batch.ranks.front()),
      host_bytes_(host_bytes(loaded, requests_)),
      setup_{model, *loaded.scenario.pipeline, requests_, {}, {}, {}, {}, {}} {
  const VertexId socket = nearest_socket(cluster.topology, cluster.topology.gpus.front());
  cpu_name_ = vertex(cluster.topology, socket).name;
  setup_.host = endpoint_of(socket);
  setup_.gpu = endpoint_of(cluster.topology.gpus.front());
  bus_ = narrowest(cluster.topology, paths.by_hash(setup_.host, setup_.gpu, 0));
  setup_.cpu = cpu_rates(loaded, bus_);
  if (loaded.profile && loaded.profile->copies.host_to_device)
    setup_.copy_in_gap = loaded.profile->copies.host_to_device->gap;
  if (loaded.profile && loaded.profile->copies.device_to_host)
    setup_.copy_out_gap = loaded.profile->copies.device_to_host->gap;
  const PipelineInput in = pipeline_input(setup_);
  Rng rng = Rng::stream(loaded.scenario.seed, "pipeline");
  plan_ = setup_.settings.order.decide(in, rng);
  check_plan(plan_, in);
}

StepGraph Pipeline::step(const StepRouting& routing, const Placement& placement) {
  PipelinedStep pipelined = build_pipelined_step(setup_, plan_, routing, placement);
  const PipelineTotals& of_step = pipelined.totals;
  totals_.weights += of_step.weights;
  totals_.cache_in += of_step.cache_in;
  totals_.activations_in += of_step.activations_in;
  totals_.cache_out += of_step.cache_out;
  totals_.activations_out += of_step.activations_out;
  totals_.gpu += of_step.gpu;
  totals_.cpu += of_step.cpu;
  ++steps_;
  return std::move(pipelined.step);
}

void Pipeline::add_to(Results& results) const {
  if (steps_ == 0) return;
  PipelineResult result;
  result.order = setup_.settings.order.name();
  result.attention = name_of(setup_.settings.attention);
  result.micro_batches = micro_batches(setup_.settings, requests_.size());
  result.weights_bytes = totals_.weights.count / steps_;
  result.cache_in_bytes = totals_.cache_in.count / steps_;
  result.activations_in_bytes = totals_.activations_in.count / steps_;
  result.cache_out_bytes = totals_.cache_out.count / steps_;
  result.activations_out_bytes = totals_.activations_out.count / steps_;
  result.host_bytes = host_bytes_.count;
  const double steps = double(steps_);
  result.gpu_s = totals_.gpu.seconds() / steps;
  result.cpu_s = totals_.cpu.seconds() / steps;
  result.bus_in_s = transfer_time(totals_.weights + totals_.cache_in + totals_.activations_in, bus_).seconds() / steps;
  result.bus_out_s = transfer_time(totals_.cache_out + totals_.activations_out, bus_).seconds() / steps;
  const std::array parts{std::pair{result.gpu_s, "GPU"}, std::pair{result.bus_in_s, "bus to the GPU"},
                         std::pair{result.bus_out_s, "bus to the host"}, std::pair{result.cpu_s, "CPU"}};
  result.busiest = std::max_element(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
                     return a.first < b.first;
                   })->second;
  if (result.busiest == "CPU" && result.cpu_s >= kCpuBoundOfBusiest * results.bounds.critical_path_s)
    results.bounds.holds = "CPU: " + cpu_name_;
  results.pipeline = std::move(result);
}

}  // namespace moesim
