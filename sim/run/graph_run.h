// Runs task graphs to their end on the engine of a run, while others may go on.
#pragma once

#include <atomic>
#include <optional>

#include "sim/run/scenario.h"
#include "sim/work/executor.h"

namespace moesim {

// What runs; links that change may be part of the scenario.
struct RunEngine {
  const LoadedScenario& loaded;
  Simulator& sim;
  Executor& executor;
  const std::atomic<bool>* stop = nullptr;
};

// The finished graph, to be released; none where the run was stopped. Throws a ConfigError where links that fail cut it
// off for ever.
std::optional<GraphId> run_graph(const RunEngine& engine, const TaskGraph& graph);

}  // namespace moesim
