// Settings of experts that do not fit in the GPUs' memory.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/cpu_data_sheet.h"
#include "sim/config/fields.h"
#include "sim/config/registry.h"
#include "sim/core/units.h"
#include "sim/moe/offload/bits.h"
#include "sim/moe/offload/cache.h"
#include "sim/moe/offload/expert_schedule.h"
#include "sim/moe/offload/prefetch.h"
#include "sim/moe/prediction.h"

namespace moesim {

// Where a memory below the host's is reached.
enum class TierPlace : uint8_t { host, network };

constexpr auto enum_names(TierPlace) {
  return std::to_array<std::pair<TierPlace, const char*>>({{TierPlace::host, "host"}, {TierPlace::network, "network"}});
}

// A memory of a server from which its host memory is filled: CXL, NVMe, another server's memory.
struct TierConfig {
  std::string name;
  std::optional<Bytes> capacity;
  Rate rate{1};
  Duration latency;
  TierPlace place = TierPlace::host;
};

template <class Visitor>
void fields(Visitor& v, TierConfig& s) {
  v.required("name", s.name, "such as cxl or nvme");
  v.optional("capacity", s.capacity, above(Bytes{0}),
             "of a server, for experts; all but the last need one. The last holds all experts");
  v.required("rate", s.rate, above(Rate{0}), "what a server reads from it");
  v.optional("latency", s.latency, between(Duration{}, 1_s), "of a read");
  v.optional("place", s.place,
             "`host`: a device of the server; `network`: the memory of the next server, through NICs and fabric");
}

// The processor beside each GPU that may compute experts.
struct OffloadCpuConfig {
  std::optional<int32_t> threads;
  std::optional<CpuInstructions> instructions;
  std::optional<Rate> memory;
  std::optional<FlopRate> compute;
  std::optional<Duration> expert;
  std::optional<Duration> first;
  std::optional<Duration> per_token;
  std::optional<double> beside_copies;
  bool in_memory = false;
  bool attention = false;
};

template <class Visitor>
void fields(Visitor& v, OffloadCpuConfig& s) {
  const auto time = between(Duration{}, 10_s);
  v.optional("threads", s.threads, between(1, 4096),
             "of a socket that compute experts. All its cores, or what the profile measured most");
  v.optional("instructions", s.instructions,
             "that compute experts' products, where no profile was measured. amx where the CPU's data sheet has a bf16 "
             "rate, else avx512");
  v.optional("memory", s.memory, above(Rate{0}), "rate at which they read weights. The profile's, or the data sheet's");
  v.optional("compute", s.compute, above(FlopRate{0}), "rate of their products. The profile's, or the data sheet's");
  v.optional("expert", s.expert, time,
             "fixed time of an expert. The profile's, or what PyTorch was seen to take, 100 us");
  v.optional("first", s.first, time, "what the first expert of a layer takes longer. The profile's wake-up, or none");
  v.optional("per_token", s.per_token, time,
             "time of a token, as some systems measure it: instead of bytes and products");
  v.optional("beside_copies", s.beside_copies, between(1.0, 10.0),
             "factor on its times while copies run. The profile's, or as on other machines");
  v.optional("in_memory", s.in_memory,
             "it sits in the GPU's memory and computes experts that lie there, as Duplex's does, with no bus between");
  v.optional("attention", s.attention,
             "with `in_memory`: attention of steps without prefill reads keys and values through it, at its `memory`");
}

// How a GPU computes the experts that it has.
enum class ExpertKernels : uint8_t { grouped, vector };

constexpr auto enum_names(ExpertKernels) {
  return std::to_array<std::pair<ExpertKernels, const char*>>(
      {{ExpertKernels::grouped, "grouped"}, {ExpertKernels::vector, "vector"}});
}

struct OffloadConfig {
  PolicyChoice<CachePolicy> cache{"lru"};
  CachePartition partition = CachePartition::layer;
  std::optional<Bytes> capacity;
  std::optional<double> resident;
  int32_t whole_layers = 0;
  bool warm = true;
  PolicyChoice<PrefetchPolicy> prefetch{"none"};
  bool whole_prefetches = false;
  PolicyChoice<PredictionPolicy> prediction{"combined"};
  PolicyChoice<ExpertSchedulePolicy> schedule{"on_demand"};
  OffloadCpuConfig cpu;
  ExpertKernels kernels = ExpertKernels::grouped;
  std::optional<Duration> gpu_expert;
  Bytes chunk{8'000'000};
  std::optional<Duration> copy_latency;
  std::optional<Duration> copy_gap;
  std::optional<PolicyChoice<BitPolicy>> bits;
  std::vector<Codec> codecs;
  std::optional<Bytes> host_memory;
  PolicyChoice<CachePolicy> host_cache{"lru"};
  std::vector<TierConfig> tiers;
  int32_t horizon = 64;
  bool references = true;
};

template <class Visitor>
void fields(Visitor& v, OffloadConfig& s) {
  v.optional("cache", s.cache, "which experts leave a GPU's memory when another needs a place");
  v.optional("partition", s.partition, "`layer`: each MoE layer has places of its own; `global`: all share all places");
  v.optional("capacity", s.capacity, at_least(Bytes{0}),
             "of a GPU's memory for routed experts. What weights, KV cache and activations leave");
  v.optional("resident", s.resident, between(0.0, 1.0),
             "part of a GPU's routed experts that fit its memory, instead of `capacity`");
  v.optional("whole_layers", s.whole_layers, between(0, 10'000),
             "the first MoE layers, whose experts all stay in the GPU's memory: Fate's shallow layers");
  v.optional("warm", s.warm,
             "the most popular experts of the training part lie there before the first step; else none");
  v.optional("prefetch", s.prefetch, "which experts are copied before tokens are routed to them");
  v.optional("whole_prefetches", s.whole_prefetches,
             "a layer's experts begin when all that was prefetched for the layer has arrived, needed or not: where the "
             "copies of a layer are waited for together");
  v.optional("prediction", s.prediction, "how their need is predicted; it learns from the training part");
  v.optional("schedule", s.schedule, "where an expert runs, and in which order");
  v.optional("cpu", s.cpu, "the processor beside the GPU that may compute experts");
  v.optional("kernels", s.kernels,
             "`grouped`: grouped GEMMs, as without offloading, which pay whole tiles for an expert's few tokens; "
             "`vector`: up to 8 tokens of an expert by products of matrix and vector, as llama.cpp has them");
  v.optional("gpu_expert", s.gpu_expert, between(Duration{}, 10_s),
             "time of an expert on the GPU whatever its tokens, as some systems measure it. The cost model's");
  v.optional("chunk", s.chunk, above(Bytes{0}), "of a copy, which a more urgent one does not interrupt");
  v.optional("copy_latency", s.copy_latency, between(Duration{}, 1_s),
             "of a chunk that follows none directly. The profile's, or 10 us");
  v.optional("copy_gap", s.copy_gap, between(Duration{}, 1_s),
             "of each chunk beside its bytes. The profile's, or 2 us");
  v.optional("bits", s.bits,
             "of each expert's weights on the bus, in the caches and in host memory. Those of /precision/experts");
  v.optional("codecs", s.codecs, "what widths cost beside their bits: scales, and time to unpack them on the GPU");
  v.optional("host_memory", s.host_memory, above(Bytes{0}),
             "of a server for experts, where a tier below holds the others. As much as they need");
  v.optional("host_cache", s.host_cache, "which experts leave the host's memory, and the tiers between");
  v.optional("tiers", s.tiers, "memories below the host's, the nearest first");
  v.optional("horizon", s.horizon, between(1, 100'000), "steps that a policy which reads the future looks ahead");
  v.optional("references", s.references,
             "simulate besides what the best cache and prefetches that are never wrong would give");
}

void check_fields(const OffloadConfig& s, const std::function<void(std::string key, std::string message)>& fault);

}  // namespace moesim
