// The cluster of a scenario: its topology, and which GPU does what.
#pragma once

#include <string>
#include <vector>

#include "sim/moe/batch.h"
#include "sim/moe/layout.h"
#include "sim/run/scenario.h"
#include "topologies/topology.h"

namespace moesim {

struct Cluster {
  Topology topology;
  Layout layout;
  std::vector<std::string> gpu_names;
  std::vector<int32_t> node_of_gpu;
};

// Throws ConfigError where the parallelism does not fit the GPUs or the model.
Cluster build_cluster(const LoadedScenario& loaded);

// Slots that each GPU of an expert-parallel group has in a MoE layer: [GPU of the group].
std::vector<int32_t> expert_slots(const LoadedScenario& loaded, const Layout& layout);

// Over the catalogue's.
double gpu_speed(const LoadedScenario& loaded, GpuId gpu);

// The requests of each attention rank, as the scenario lists them.
Batch batch_of(const Scenario& scenario, const Layout& layout);

}  // namespace moesim
