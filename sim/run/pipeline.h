// Steps whose weights stream through one GPU, in a run: what the section /pipeline of a scenario asks for.
#pragma once

#include <optional>
#include <vector>

#include "sim/moe/batch.h"
#include "sim/moe/offload/pipeline_step.h"
#include "sim/run/cluster.h"
#include "sim/run/results.h"
#include "sim/run/scenario.h"
#include "topologies/routed_paths.h"

namespace moesim {

// Throws a ConfigError with every fault where the section is there and cannot be combined with the rest.
void check_pipeline(const LoadedScenario& loaded, const Cluster& cluster);

// What lies in the GPU's memory; a ConfigError where it, or the host's, is too small. Only with the section.
MemoryResult plan_pipeline_memory(const LoadedScenario& loaded, const Batch& batch, Bytes capacity);

class Pipeline {
 public:
  // The model must outlive it.
  Pipeline(const LoadedScenario& loaded, const Cluster& cluster, const StepModel& model, const Batch& batch,
           RoutedPaths& paths);
  Pipeline(const Pipeline&) = delete;  // its setup points into it
  Pipeline& operator=(const Pipeline&) = delete;

  StepGraph step(const StepRouting& routing, const Placement& placement);

  void add_to(Results& results) const;

 private:
  std::vector<Request> requests_;
  Rate bus_;
  std::string cpu_name_;
  Bytes host_bytes_;
  PipelineSetup setup_;
  PipelinePlan plan_;
  PipelineTotals totals_;  // of all steps
  int64_t steps_ = 0;
};

}  // namespace moesim
