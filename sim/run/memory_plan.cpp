#include "sim/run/memory_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/memory.h"
#include "sim/run/cluster.h"
#include "sim/run/pipeline.h"

namespace moesim {
namespace {

// Weights that tensor parallelism shards come from a share of tp, those it leaves whole from a share of one.
MemoryUse use_of_gpu(const LoadedScenario& loaded, const Layout& layout, int32_t slots,
                     const std::vector<Request>& requests, const std::vector<Request>& cached) {
  const LlmSpec& llm = loaded.model;
  MemoryShare share;
  share.experts = int64_t{slots} * moe_layers(llm);
  share.precision = loaded.scenario.precision.model;
  share.cached_requests = int64_t(cached.size());
  for (const Request& request : cached) share.cached_tokens += request.context + request.new_tokens;
  share.batch_tokens = new_tokens(requests) / layout.tp;
  share.expert_rows = share.batch_tokens * llm.top_k;
  MemoryUse use = memory_use(llm, share);

  share.tensor_parallel = layout.tp;
  share.batch_tokens = new_tokens(requests);
  const MemoryUse sharded = memory_use(llm, share);
  use.attention = sharded.attention;
  use.embeddings = sharded.embeddings;
  use.cache = sharded.cache;
  use.activations = std::max(use.activations, sharded.activations);
  return use;
}

// Of the expert-parallel group of a GPU.
std::vector<Request> requests_of_group(const Layout& layout, const Batch& batch, GpuId gpu) {
  std::vector<Request> all;
  const int32_t first = layout.expert_group(gpu) * layout.ep;
  for (int32_t member = first; member < first + layout.ep; member += layout.tp) {
    const auto& requests = batch.ranks[size_t(layout.attention_rank(GpuId(member)))];
    all.insert(all.end(), requests.begin(), requests.end());
  }
  return all;
}

MemoryResult result_of(const MemoryUse& use, Bytes capacity) {
  MemoryResult result;
  result.weights_attention = use.attention.count;
  result.weights_experts = use.experts.count;
  result.weights_other = (use.dense + use.shared + use.embeddings).count;
  result.kv_cache = use.cache.count;
  result.activations = use.activations.count;
  result.total = use.total().count;
  result.capacity = capacity.count;
  return result;
}

// What of the hosted experts a GPU has room for, where they need not all be there.
Bytes offload_room(const OffloadConfig& config, Bytes hosted, Bytes left) {
  Bytes room = std::max(left, Bytes{});
  if (config.capacity) room = *config.capacity;
  if (config.resident) room = {std::llround(*config.resident * double(hosted.count))};
  return std::min(room, hosted);
}

}  // namespace

std::vector<MemoryResult> plan_memory(const LoadedScenario& loaded, const Layout& layout, const Batch& batch) {
  const Bytes capacity{int64_t(double(loaded.gpu.memory.count) * loaded.scenario.memory.usable)};
  if (loaded.scenario.pipeline) return {plan_pipeline_memory(loaded, batch, capacity)};
  const std::vector<int32_t> slots = expert_slots(loaded, layout);
  std::vector<MemoryResult> results;
  for (int32_t gpu = 0; gpu < layout.gpus; ++gpu) {
    const auto& requests = batch.ranks[size_t(layout.attention_rank(GpuId(gpu)))];
    const bool coherent = loaded.scenario.parallelism.context_coherent;
    MemoryUse use = use_of_gpu(loaded, layout, slots[size_t(layout.expert_rank(GpuId(gpu)))], requests,
                               coherent ? requests_of_group(layout, batch, GpuId(gpu)) : requests);
    if (loaded.scenario.offload)
      use.experts = offload_room(*loaded.scenario.offload, use.experts, capacity - (use.total() - use.experts));
    if (use.total() > capacity)
      throw ConfigError(
          loaded.source,
          fmt::format("GPU {} needs {:.2f} GiB but {} has {:.2f} GiB usable: {}. More GPUs (ep, tp), "
                      "a smaller batch, lower precision or experts in host memory (`offload`) would make it "
                      "fit",
                      gpu, double(use.total().count) / double(1 << 30), loaded.gpu.name,
                      double(capacity.count) / double(1 << 30), describe(use)));
    results.push_back(result_of(use, capacity));
  }
  return results;
}

}  // namespace moesim
