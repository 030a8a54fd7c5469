// Adds up what steps did, into results. Its size does not grow with the number of steps, but for their times.
#pragma once

#include <vector>

#include "sim/run/breakdown.h"
#include "sim/run/cluster.h"
#include "sim/run/results.h"
#include "sim/run/scenario.h"
#include "sim/work/bounds.h"
#include "sim/work/executor.h"

namespace moesim {

class Accounts {
 public:
  Accounts(const LoadedScenario& loaded, const Cluster& cluster);

  // A step that the executor has finished.
  void add_step(const StepGraph& step, const Executor& executor, GraphId graph, const WorkBounds& bounds,
                int64_t tokens, Time begin, Time end, int32_t placement_age);

  // Time between steps in which none ran.
  void add_stall(Duration stall) { stalled_ += stall; }

  const std::vector<StepResult>& steps() const { return steps_; }
  Duration total() const { return total_; }  // of the steps

  // Everything but what only the runner knows: completeness, notes, digest, events, rebalancing.
  Results results(const std::vector<MemoryResult>& memory) const;

  // [link], as of the last finished step.
  const std::vector<LinkUse>& link_use() const { return link_use_; }

 private:
  struct LayerSums {
    double time_s = 0;
    double gpu_load_max_over_mean = 0;
    double expert_load_max_over_mean = 0;
    int64_t copies = 0;
    int64_t remote_copies = 0;
    int64_t cross_node_copies = 0;
  };

  double add_traffic(const StepGraph& step);  // the mean over MoE layers of the GPUs' max/mean
  void add_bounds(const WorkBounds& bounds);
  BoundResult bound_result() const;
  std::vector<OperationResult> operation_results() const;
  std::vector<LayerResult> layer_results() const;
  std::vector<GpuResult> gpu_results(const std::vector<MemoryResult>& memory) const;
  std::vector<LinkResult> link_results() const;
  double mean_s(Duration sum) const;  // over the steps

  const LoadedScenario& loaded_;
  const Cluster& cluster_;
  std::vector<StepResult> steps_;
  int64_t tokens_ = 0;
  int64_t flows_ = 0;
  Duration total_;    // of the steps
  Duration stalled_;  // between them
  std::vector<GpuTimes> gpus_;
  std::vector<int64_t> expert_rows_;  // [gpu]
  std::vector<LayerSums> layers_;     // [layer of the model]
  Duration critical_path_;
  std::vector<Duration> compute_;       // [gpu]
  std::vector<Duration> links_;         // [link]
  Bytes bytes_sent_;                    // as of the last finished step, like link_use_
  std::vector<LinkUse> link_use_;       // [link]
  std::vector<LinkQueueing> queueing_;  // [link], empty where the network has no queues
};

}  // namespace moesim
