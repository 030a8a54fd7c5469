// What a run found. results.json is this struct; the text summary and the tables are made from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/fields.h"
#include "sim/core/units.h"
#include "sim/run/offload_result.h"
#include "sim/run/pipeline_result.h"
#include "sim/run/speculation_result.h"
#include "traces/rerouter.h"

namespace moesim {

// Times of an operation in a step, mean over GPUs and steps. At each instant a GPU is counted under one operation: a
// kernel that computes, else a collective, else none; so exposed times and idle time sum to the step time.
struct OperationResult {
  std::string operation;
  double exposed_s = 0;
  double hidden_s = 0;       // it ran, but a kernel computed meanwhile
  double busiest_gpu_s = 0;  // exposed + hidden of the GPU with most of it
};

template <class Visitor>
void fields(Visitor& v, OperationResult& s) {
  v.required("operation", s.operation, "attention, gate, dispatch, experts, ...");
  v.required("exposed_s", s.exposed_s, at_least(0.0), "time of a step under this operation alone, mean over GPUs, s");
  v.required("hidden_s", s.hidden_s, at_least(0.0), "time it ran behind computation, mean over GPUs, s");
  v.required("busiest_gpu_s", s.busiest_gpu_s, at_least(0.0), "both, on the GPU that spends most, s");
}

struct LayerResult {
  int32_t layer = 0;
  double time_s = 0;
  double gpu_load_max_over_mean = 0;
  double expert_load_max_over_mean = 0;
  double copies_per_token = 0;
  double remote_fraction = 0;
  double cross_node_fraction = 0;
};

template <class Visitor>
void fields(Visitor& v, LayerResult& s) {
  v.required("layer", s.layer, at_least(0), "layer of the model, from 0");
  v.required("time_s", s.time_s, at_least(0.0), "from the layer's first task to its last, mean over steps, s");
  v.required("gpu_load_max_over_mean", s.gpu_load_max_over_mean, at_least(0.0),
             "expert rows of the most loaded GPU over the mean; 0 in dense layers");
  v.required("expert_load_max_over_mean", s.expert_load_max_over_mean, at_least(0.0),
             "tokens of the hottest expert over the mean");
  v.required("copies_per_token", s.copies_per_token, at_least(0.0),
             "copies of a token that dispatch delivers, those to its own GPU included");
  v.required("remote_fraction", s.remote_fraction, between(0.0, 1.0), "copies that leave their GPU");
  v.required("cross_node_fraction", s.cross_node_fraction, between(0.0, 1.0), "copies that leave their server");
}

// Memory of one GPU by kind, bytes.
struct MemoryResult {
  int64_t weights_attention = 0;
  int64_t weights_experts = 0;
  int64_t weights_other = 0;
  int64_t kv_cache = 0;
  int64_t activations = 0;
  int64_t total = 0;
  int64_t capacity = 0;
};

template <class Visitor>
void fields(Visitor& v, MemoryResult& s) {
  const auto bytes = at_least(int64_t{0});
  v.required("weights_attention", s.weights_attention, bytes, "attention weights, B");
  v.required("weights_experts", s.weights_experts, bytes, "routed experts, B");
  v.required("weights_other", s.weights_other, bytes, "dense layers, shared experts, gates, norms, embeddings, B");
  v.required("kv_cache", s.kv_cache, bytes, "KV cache at the end of the step, B");
  v.required("activations", s.activations, bytes, "activations and communication buffers, B");
  v.required("total", s.total, bytes, "sum, B");
  v.required("capacity", s.capacity, bytes, "what may be filled, B");
}

struct GpuResult {
  int32_t gpu = 0;
  std::string name;
  double compute_s = 0;
  double exposed_communication_s = 0;
  double idle_s = 0;
  int64_t expert_rows = 0;
  MemoryResult memory;
};

template <class Visitor>
void fields(Visitor& v, GpuResult& s) {
  v.required("gpu", s.gpu, at_least(0), "number");
  v.required("name", s.name, "name in the topology");
  v.required("compute_s", s.compute_s, at_least(0.0), "time of a step in kernels that compute, s");
  v.required("exposed_communication_s", s.exposed_communication_s, at_least(0.0),
             "time of a step in collectives and copies alone, or in work of the CPU, waiting for peers included, s");
  v.required("idle_s", s.idle_s, at_least(0.0), "rest of the step, s");
  v.required("expert_rows", s.expert_rows, at_least(int64_t{0}), "(token, expert) pairs computed in all steps");
  v.required("memory", s.memory, "what lies in its memory");
}

// The queue at the head of a link, in all steps.
struct QueueResult {
  int64_t bytes_max = 0;
  double wait_mean_s = 0;
  int64_t drops = 0;
  int64_t marks = 0;
};

template <class Visitor>
void fields(Visitor& v, QueueResult& s) {
  const auto count = at_least(int64_t{0});
  v.required("bytes_max", s.bytes_max, count, "the longest that it was, with the packet being sent, B");
  v.required("wait_mean_s", s.wait_mean_s, at_least(0.0), "time of a packet behind others, mean, s");
  v.required("drops", s.drops, count, "packets lost here");
  v.required("marks", s.marks, count, "packets that got an ECN mark here");
}

struct LinkResult {
  std::string link;
  std::string kind;
  int64_t bytes = 0;
  double busy_s = 0;
  double utilisation = 0;
  double flows_mean = 0;
  std::optional<QueueResult> queue;
};

template <class Visitor>
void fields(Visitor& v, LinkResult& s) {
  v.required("link", s.link, "from -> to");
  v.required("kind", s.kind, "nvlink, pcie, nic, fabric, ...");
  v.required("bytes", s.bytes, at_least(int64_t{0}), "payload carried in all steps, B");
  v.required("busy_s", s.busy_s, at_least(0.0), "time with a flow on it in all steps, s");
  v.required("utilisation", s.utilisation, between(0.0, 1.0 + 1e-6),
             "bytes over what it could have carried in the whole run");
  v.required("flows_mean", s.flows_mean, at_least(0.0),
             "flows that share it, mean over the time it is busy; 0 where packets are simulated");
  v.optional("queue", s.queue, "its queue, where packets are simulated");
}

// Lower bounds of the mean step. On an ideal network the links bound nothing.
struct BoundResult {
  double critical_path_s = 0;
  double compute_s = 0;
  std::string compute_where;
  double link_s = 0;
  std::string link_where;
  std::string holds;
};

template <class Visitor>
void fields(Visitor& v, BoundResult& s) {
  v.required("critical_path_s", s.critical_path_s, at_least(0.0), "longest chain of work and uncontended transfers, s");
  v.required("compute_s", s.compute_s, at_least(0.0), "work of the busiest GPU, s");
  v.required("compute_where", s.compute_where, "that GPU");
  v.required("link_s", s.link_s, at_least(0.0), "bytes over capacity of the busiest link, s");
  v.required("link_where", s.link_where, "that link");
  v.required("holds", s.holds,
             "what to change first: a resource that is busy for 80 % of the critical path or more, else dependencies");
}

// How far off the step time may be.
struct ModelErrorResult {
  double fraction = 0;
  double low_s = 0;
  double high_s = 0;
  double covers = 0;
};

template <class Visitor>
void fields(Visitor& v, ModelErrorResult& s) {
  v.required("fraction", s.fraction, at_least(0.0),
             "half width of the band over the step time: 90 % of held-out measurements lay within it");
  v.required("low_s", s.low_s, between(-1e9, 1e9), "lower end of the band, s");
  v.required("high_s", s.high_s, at_least(0.0), "upper end of the band, s");
  v.required("covers", s.covers, between(0.0, 1.0),
             "part of the step time that held-out measurements speak for; the rest counts as exact");
}

struct StepResult {
  int32_t step = 0;
  double time_s = 0;
  double gpu_load_max_over_mean = 0;
  int32_t placement_age = 0;
};

template <class Visitor>
void fields(Visitor& v, StepResult& s) {
  v.required("step", s.step, at_least(0), "number, from 0");
  v.required("time_s", s.time_s, at_least(0.0), "its length, s");
  v.required("gpu_load_max_over_mean", s.gpu_load_max_over_mean, at_least(0.0),
             "expert rows of the most loaded GPU over the mean, mean over MoE layers");
  v.required("placement_age", s.placement_age, at_least(0), "steps between the placement's decision and this one");
}

// One rebalance. It has no first step where its weights had not all arrived when the run ended.
struct RebalanceResult {
  int32_t after_step = 0;
  std::optional<int32_t> first_step;
  int64_t copies = 0;
  int64_t bytes = 0;
  double transfer_s = 0;
  double stalled_s = 0;
  double predicted_before = 0;
  double predicted_after = 0;
};

template <class Visitor>
void fields(Visitor& v, RebalanceResult& s) {
  v.required("after_step", s.after_step, at_least(0), "step after which it was decided");
  v.optional("first_step", s.first_step, at_least(0),
             "first step with the new placement; absent where weights were still on their way at the end");
  v.required("copies", s.copies, at_least(int64_t{0}), "experts that GPUs got, of all layers");
  v.required("bytes", s.bytes, at_least(int64_t{0}), "their weights, B");
  v.required("transfer_s", s.transfer_s, at_least(0.0), "from the first byte sent to the last that arrived, s");
  v.required("stalled_s", s.stalled_s, at_least(0.0), "time in which no step ran, s");
  v.required("predicted_before", s.predicted_before, at_least(0.0),
             "predicted load of the fullest GPU over the mean, mean over MoE layers, with the placement that was");
  v.required("predicted_after", s.predicted_after, at_least(0.0), "the same with the new one");
}

// All steps whose placement had one age.
struct AgeResult {
  int32_t age = 0;
  int32_t steps = 0;
  double gpu_load_max_over_mean = 0;
};

template <class Visitor>
void fields(Visitor& v, AgeResult& s) {
  v.required("age", s.age, at_least(0), "steps since the placement was decided");
  v.required("steps", s.steps, at_least(1), "steps of that age");
  v.required("gpu_load_max_over_mean", s.gpu_load_max_over_mean, at_least(0.0), "mean of what they were judged to");
}

struct RebalancingResult {
  int64_t bytes = 0;
  double stalled_s = 0;
  std::vector<RebalanceResult> rebalances;
  std::vector<AgeResult> ages;
};

template <class Visitor>
void fields(Visitor& v, RebalancingResult& s) {
  v.required("bytes", s.bytes, at_least(int64_t{0}), "weights moved, B; a migration counts when it begins");
  v.required("stalled_s", s.stalled_s, at_least(0.0), "time in which no step ran, s");
  v.required("rebalances", s.rebalances, "each rebalance");
  v.required("ages", s.ages, "how a placement grows stale: steps by its age");
}

struct Results {
  int32_t format_version = 1;
  std::string scenario;
  bool complete = false;
  std::string network;
  std::string time_source;
  std::vector<std::string> notes;
  std::string digest;
  int32_t gpus = 0;
  int64_t tokens_per_step = 0;
  double step_time_s = 0;
  double step_time_min_s = 0;
  double step_time_max_s = 0;
  double tokens_per_s = 0;
  double idle_s = 0;
  double gpu_load_max_over_mean = 0;
  int64_t bytes_sent = 0;
  int64_t flows = 0;
  int64_t events = 0;
  std::optional<ModelErrorResult> model_error;
  std::optional<RebalancingResult> rebalancing;
  std::optional<RerouteCounts> rerouting;
  std::optional<SpeculationResult> speculation;
  std::optional<OffloadResult> offload;
  std::optional<PipelineResult> pipeline;
  BoundResult bounds;
  std::vector<OperationResult> breakdown;
  std::vector<StepResult> steps;
  std::vector<LayerResult> layers;
  std::vector<GpuResult> gpu_list;
  std::vector<LinkResult> links;
};

template <class Visitor>
void fields(Visitor& v, Results& s) {
  v.required("format_version", s.format_version, between(1, 1), "version of this format");
  v.required("scenario", s.scenario, "its name");
  v.required("complete", s.complete,
             "false where the run was stopped; what is here then covers the steps that were done");
  v.required("network", s.network, "fidelity used: ideal, flow or packet");
  v.required("time_source", s.time_source, "where kernel times come from, and how far off they are known to be");
  v.required("notes", s.notes, "what was assumed on the way");
  v.required("digest", s.digest, "fingerprint of every task and flow; equal for equal runs");
  v.required("gpus", s.gpus, at_least(1), "GPUs");
  v.required("tokens_per_step", s.tokens_per_step, at_least(int64_t{0}), "new tokens of a step, over all GPUs");
  v.required("step_time_s", s.step_time_s, at_least(0.0), "mean length of a step, s");
  v.required("step_time_min_s", s.step_time_min_s, at_least(0.0), "shortest, s");
  v.required("step_time_max_s", s.step_time_max_s, at_least(0.0), "longest, s");
  v.required("tokens_per_s", s.tokens_per_s, at_least(0.0), "new tokens over time, stalls between steps included");
  v.required("idle_s", s.idle_s, at_least(0.0), "time of a step in which a GPU does nothing, mean over GPUs, s");
  v.required("gpu_load_max_over_mean", s.gpu_load_max_over_mean, at_least(0.0),
             "expert rows of the most loaded GPU over the mean, mean over MoE layers and steps");
  v.required("bytes_sent", s.bytes_sent, at_least(int64_t{0}),
             "payload of all transfers, those of weights included, B");
  v.required("flows", s.flows, at_least(int64_t{0}), "transfers");
  v.required("events", s.events, at_least(int64_t{0}), "events simulated");
  v.optional("model_error", s.model_error,
             "band around the step time from the profile's held-out errors; absent without a calibrated profile");
  v.optional("rebalancing", s.rebalancing, "what rebalancing did; absent where the policy is `never`");
  v.optional("rerouting", s.rerouting,
             "what became of the choices, over the whole trace; absent where experts are not chosen anew");
  v.optional("speculation", s.speculation, "what speculation did; absent where the scenario has none");
  v.optional("offload", s.offload,
             "caches, copies and processors of offloaded experts; absent where all are in the GPUs");
  v.optional("pipeline", s.pipeline, "what streaming weights took; absent where the scenario has no `pipeline`");
  v.required("bounds", s.bounds, "lower bounds of the step time");
  v.required("breakdown", s.breakdown, "where the time goes");
  v.required("steps", s.steps, "each step");
  v.required("layers", s.layers, "each layer");
  v.required("gpu_list", s.gpu_list, "each GPU");
  v.required("links", s.links, "each link that carried something, busiest first");
}

}  // namespace moesim
