// Runs a scenario from beginning to end.
#pragma once

#include <atomic>
#include <cstdint>

#include "sim/run/results.h"
#include "sim/run/run_record.h"
#include "sim/run/scenario.h"

namespace moesim {

// How far a run is, for whoever watches it from another thread. Tasks of all steps; the total is known once the first
// step has been built.
struct Progress {
  std::atomic<int64_t> tasks_done{0};
  std::atomic<int64_t> tasks_total{0};
};

struct RunControl {
  const std::atomic<bool>* stop = nullptr;  // ends the run at the next instant; what is complete is reported
  Progress* progress = nullptr;
  RunRecord* record = nullptr;           // filled where it is given
  const Placement* placement = nullptr;  // taken instead of what the scenario's policy decides
};

// Finds what running it would find wrong before its first step: the cluster, parallelism, memory. Throws ConfigError.
void check_scenario(const LoadedScenario& loaded);

// The results depend on the scenario alone. CHECKs the invariants of docs/invariants.md on the way.
Results run_scenario(const LoadedScenario& loaded, const RunControl& control);

}  // namespace moesim
