// Makes new placements while steps run, and moves the weights that they need elsewhere.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/moe/load_prediction.h"
#include "sim/moe/migration.h"
#include "sim/moe/placement.h"
#include "sim/moe/rebalance.h"
#include "sim/run/cluster.h"
#include "sim/run/graph_run.h"
#include "sim/run/results.h"
#include "sim/run/routing_source.h"
#include "sim/run/run_record.h"

namespace moesim {

// What it looks at of a run; all of it must outlive it.
struct RebalancerInput {
  const LoadedScenario& loaded;
  const Cluster& cluster;
  const RoutingSource& routing;
  const std::vector<MemoryResult>& memory;  // [gpu]
  RunEngine engine;
  RunRecord* record = nullptr;
};

class Rebalancer {
 public:
  // A placement that is to be judged as it is stays: then `may_rebalance` is false.
  Rebalancer(const RebalancerInput& in, Placement first, bool may_rebalance);
  Rebalancer(const Rebalancer&) = delete;  // the executor points to the graph of a migration
  Rebalancer& operator=(const Rebalancer&) = delete;

  // Of the next step, and the loads that it was made for.
  const Placement& placement() const { return present_; }
  const ExpertLoads& past_load() const { return past_load_; }
  int32_t age() const { return age_; }  // steps since it was decided
  int32_t switches() const { return switches_; }

  // After a step that is not the last: takes in weights that have arrived, decides, sends weights. It returns when the
  // next step may start, false where the run was stopped meanwhile.
  bool after_step(const StepRouting& routing, int32_t step);

  // Payload of the migrations so far, and whether one is under way.
  Bytes sent() const { return sent_; }
  bool migrating() const { return moving_.has_value(); }
  Duration stalled() const { return stalled_; }

  // None where it never rebalances.
  std::optional<RebalancingResult> results(const std::vector<StepResult>& steps) const;

 private:
  struct Moving {
    GraphId id{};
    Time begin;
  };

  double predicted_max_over_mean(const ExpertLoads& loads, const Placement& placement) const;
  void decide(const ExpertLoads& prediction, int32_t step);
  bool migrate(int32_t step);
  bool take_in(int32_t step);
  void check_room(const std::vector<ExpertMove>& moves) const;
  void switch_over(int32_t step);
  bool stall(int32_t step);
  void record(const TaskGraph& graph, const std::vector<TaskTimes>& times, int32_t step) const;

  const RebalancerInput in_;
  const RebalanceConfig& config_;
  PolicyChoice<PlacementPolicy> policy_;
  bool active_;
  Bytes expert_;  // weights of one
  std::vector<EndpointId> endpoints_;
  PlacementInput placement_input_;
  Rng rng_;
  LoadHistory history_;
  RebalanceState state_;

  Placement present_;
  ExpertLoads past_load_;
  int32_t age_ = 0;
  int32_t switches_ = 0;  // from one placement to the next
  Placement next_;        // where a migration is under way
  ExpertLoads next_load_;
  int32_t next_age_ = 0;
  std::optional<Moving> moving_;
  TaskGraph graph_;
  Bytes sent_;
  Duration stalled_;
  std::vector<RebalanceResult> rebalances_;
};

}  // namespace moesim
