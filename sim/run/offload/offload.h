// Experts that do not fit in the GPUs' memory: does the experts' part of each layer in a run, in place of a task that
// takes a known time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/moe/step_graph.h"
#include "sim/run/cluster.h"
#include "sim/run/offload/gpu.h"
#include "sim/run/offload/memories.h"
#include "sim/run/offload_result.h"
#include "sim/run/results.h"
#include "sim/run/routing_source.h"

namespace moesim {

// What it looks at of a run; all of it must outlive it.
struct OffloadInput {
  const LoadedScenario& loaded;
  const Cluster& cluster;
  const HostMemories& memories;
  const StepModel& model;
  const Batch& batch;
  const RoutingSource& routing;
  const Placement& placement;
  const std::vector<MemoryResult>& memory;  // [gpu]; its `weights_experts` are the caches
  Simulator& sim;
  Executor& executor;
  Timeline* timeline = nullptr;  // to draw copies and CPU experts in
};

class Offload {
 public:
  // Becomes the executor's outside.
  explicit Offload(const OffloadInput& in);
  Offload(const Offload&) = delete;  // pending events point to it
  Offload& operator=(const Offload&) = delete;

  // Before the graph of the step is submitted; both must live as long as the step.
  void begin_step(int64_t step, const StepRouting& routing, const StepGraph& graph);

  Bytes sent() const;    // payload so far, what the network has of chunks under way included
  bool copying() const;  // a chunk is under way
  OffloadResult result(int64_t steps, Duration total) const;

 private:
  static void begin_task(void* offload, GraphId graph, TaskId task);
  static void cpu_done(void* offload, uint64_t job);
  static void host_ready(void* offload, int32_t node, ExpertItem item, Bytes so_far);
  void begin_layer(GraphId graph, TaskId task);
  LevelShape shape_of(GpuId gpu) const;
  Bytes room_of(GpuId gpu, const LevelShape& shape) const;
  void add_hosts();
  void add_gpus();
  void add_scores(int32_t group, int32_t layer);
  Duration beside(GpuId gpu, int32_t layer);
  void check_bytes() const;

  const OffloadInput in_;
  const OffloadConfig& config_;
  HostedExperts hosted_;
  PastTokens past_;
  std::vector<int64_t> past_load_;  // [item]
  ExpertCosts costs_;
  ExpertForecasts forecasts_;
  std::unique_ptr<FutureUses> future_;
  OffloadSums sums_;
  std::vector<int32_t> moe_layer_;                  // [layer of the model], or -1
  std::vector<int32_t> model_layer_;                // [MoE layer]
  std::vector<std::unique_ptr<HostStore>> stores_;  // [node]
  std::vector<OffloadSocket> sockets_;  // as the memories have them, or [gpu] where processors sit in GPUs' memory
  std::unique_ptr<OffloadShared> shared_;
  std::vector<std::unique_ptr<OffloadGpu>> gpus_;
  const StepRouting* routing_ = nullptr;
  const StepGraph* graph_ = nullptr;
  std::vector<int64_t> wider_choices_;  // [token of the step] its token in a trace that tells more than its choices
  std::vector<float> scores_;           // [expert] of a group's tokens in the layer at hand
};

// Throws a ConfigError where the scenario asks for what cannot be: caches too small for what their schedule copies,
// memories too small for the experts, parts of a run that know nothing of offloading.
void check_offload(const LoadedScenario& loaded, const Layout& layout, const std::vector<MemoryResult>& memory);

// A GPU's memory for experts.
struct CacheRoom {
  Bytes all;
  Bytes expert;  // the largest
  Bytes whole;   // experts of the whole layers
};

// What is wrong with it; empty where nothing is.
std::string cache_fault(const LoadedScenario& loaded, const CacheRoom& room);

// The same scenario with a cache that reads the future, and with prefetches that are never wrong; what they give is
// what better policies could gain at most. Empty where there is no offloading, or nobody asked.
std::vector<std::pair<std::string, LoadedScenario>> offload_references(const LoadedScenario& loaded);

}  // namespace moesim
