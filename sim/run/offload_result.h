// What the caches, copies and processors of offloaded experts did in a run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/fields.h"

namespace moesim {

// Experts that a layer needed: once a layer, step and GPU, however many tokens chose them.
struct OffloadLayerResult {
  int32_t layer = 0;
  int64_t accesses = 0;
  double hit_rate = 0;
  int64_t late = 0;
  int64_t evicted = 0;
  int64_t cold = 0;
  std::optional<double> recall;
  double stall_s = 0;
};

template <class Visitor>
void fields(Visitor& v, OffloadLayerResult& s) {
  const auto count = at_least(int64_t{0});
  v.required("layer", s.layer, at_least(0), "layer of the model, from 0");
  v.required("accesses", s.accesses, count, "experts that it needed, over GPUs and steps");
  v.required("hit_rate", s.hit_rate, between(0.0, 1.0), "of them, those in the GPU's memory when they were needed");
  v.required("late", s.late, count, "misses whose prefetch had begun but not arrived");
  v.required("evicted", s.evicted, count, "misses of experts that had been there before");
  v.required("cold", s.cold, count, "misses of experts that had never been there");
  v.optional("recall", s.recall, between(0.0, 1.0),
             "experts needed that were among as many that the prediction thought likeliest; absent where nothing was "
             "predicted");
  v.required("stall_s", s.stall_s, at_least(0.0), "time of a step that the GPU waits in it, mean over GPUs, s");
}

// Time of a step in which a GPU's experts wait, mean over GPUs, by what ends the wait.
struct OffloadStalls {
  double copy_s = 0;
  double late_s = 0;
  double cpu_s = 0;
};

template <class Visitor>
void fields(Visitor& v, OffloadStalls& s) {
  v.required("copy_s", s.copy_s, at_least(0.0), "for experts that nobody had prefetched, s");
  v.required("late_s", s.late_s, at_least(0.0), "for prefetches under way, s");
  v.required("cpu_s", s.cpu_s, at_least(0.0), "for experts on the CPU, s");
}

struct OffloadPeriod {
  double begin_s = 0;
  double bus = 0;
  double dram = 0;
};

template <class Visitor>
void fields(Visitor& v, OffloadPeriod& s) {
  v.required("begin_s", s.begin_s, at_least(0.0), "time since the start of the run, s");
  v.required("bus", s.bus, at_least(0.0), "weights copied to a GPU, mean over GPUs, B/s");
  v.required("dram", s.dram, at_least(0.0), "weights read from a server's memory, mean over servers, B/s");
}

struct OffloadTierResult {
  std::string tier;
  int64_t bytes = 0;
  double hit_rate = 0;
};

template <class Visitor>
void fields(Visitor& v, OffloadTierResult& s) {
  v.required("tier", s.tier, "memory: host, or a tier below it");
  v.required("bytes", s.bytes, at_least(int64_t{0}), "weights read from it, B");
  v.required("hit_rate", s.hit_rate, between(0.0, 1.0), "experts that were there when they were asked for");
}

struct OffloadReference {
  std::string what;
  double hit_rate = 0;
  double step_time_s = 0;
  double tokens_per_s = 0;
};

template <class Visitor>
void fields(Visitor& v, OffloadReference& s) {
  v.required("what", s.what, "what is as good as it could be");
  v.required("hit_rate", s.hit_rate, between(0.0, 1.0), "of its run");
  v.required("step_time_s", s.step_time_s, at_least(0.0), "of its run, mean, s");
  v.required("tokens_per_s", s.tokens_per_s, at_least(0.0), "of its run");
}

struct OffloadResult {
  std::string cache;
  std::string prefetch;
  std::string schedule;
  int64_t capacity = 0;
  double resident = 0;
  int64_t accesses = 0;
  double hit_rate = 0;
  int64_t on_gpu = 0;
  int64_t on_cpu = 0;
  int64_t deferred = 0;
  int64_t demand_bytes = 0;
  int64_t prefetch_bytes = 0;
  int64_t unused_prefetch_bytes = 0;
  int64_t evictions = 0;
  std::optional<double> recall;
  double gpu_s = 0;
  double cpu_s = 0;
  double bus_utilisation = 0;
  OffloadStalls stalls;
  std::vector<OffloadTierResult> tiers;
  std::vector<OffloadReference> references;
  std::vector<OffloadLayerResult> layers;
  std::vector<OffloadPeriod> over_time;
};

template <class Visitor>
void fields(Visitor& v, OffloadResult& s) {
  const auto count = at_least(int64_t{0});
  v.required("cache", s.cache, "its policy; `oracle` reads the future, and is a reference");
  v.required("prefetch", s.prefetch, "its policy");
  v.required("schedule", s.schedule, "its policy");
  v.required("capacity", s.capacity, count, "of a GPU's memory for experts, the least of all GPUs, B");
  v.required("resident", s.resident, between(0.0, 1.0), "part of a GPU's experts that fit there");
  v.required("accesses", s.accesses, count, "experts that layers needed, over GPUs and steps");
  v.required("hit_rate", s.hit_rate, between(0.0, 1.0), "of them, those in the GPU's memory when they were needed");
  v.required("on_gpu", s.on_gpu, count, "of them, those that the GPU computed");
  v.required("on_cpu", s.on_cpu, count, "of them, those that the CPU computed");
  v.required("deferred", s.deferred, count, "of those, the ones whose result was added a layer later");
  v.required("demand_bytes", s.demand_bytes, count, "weights copied for misses, B");
  v.required("prefetch_bytes", s.prefetch_bytes, count, "weights copied before they were needed, B");
  v.required("unused_prefetch_bytes", s.unused_prefetch_bytes, count,
             "of those, what left again, or still lies there, without having been needed, B");
  v.required("evictions", s.evictions, count, "experts that gave up their place in a GPU's memory");
  v.optional("recall", s.recall, between(0.0, 1.0),
             "experts needed that were among as many that the prediction thought likeliest");
  v.required("gpu_s", s.gpu_s, at_least(0.0), "time of a step in which a GPU computes experts, mean over GPUs, s");
  v.required("cpu_s", s.cpu_s, at_least(0.0), "time of a step in which a CPU does, mean over sockets in use, s");
  v.required("bus_utilisation", s.bus_utilisation, between(0.0, 1.0 + 1e-6),
             "time in which a GPU's copies are under way, mean over GPUs");
  v.required("stalls", s.stalls, "what GPUs wait for in their experts");
  v.required("tiers", s.tiers, "memories that experts were read from, the host's first");
  v.required("references", s.references, "what would be possible");
  v.required("layers", s.layers, "each MoE layer");
  v.required("over_time", s.over_time, "use of bus and memory over the run, in equal periods");
}

}  // namespace moesim
