#include "sim/run/graph_run.h"

#include "sim/core/check.h"

namespace moesim {
namespace {

// Ends the run when the graph is done: links may still change later, and other graphs go on with the next.
void halt(void* sim, GraphId) { static_cast<Simulator*>(sim)->halt(); }

// A graph that has not finished though nothing is pending: only links that change can do that.
[[noreturn]] void throw_cut_off(const LoadedScenario& loaded) {
  CHECK(!loaded.scenario.link_changes.empty());
  throw ConfigError(loaded.source, {fault_at(loaded.root, "/link_changes",
                                             "failed links cut GPUs off that have bytes for each other, and none of "
                                             "these links comes back")});
}

}  // namespace

std::optional<GraphId> run_graph(const RunEngine& engine, const TaskGraph& graph) {
  const GraphId id = engine.executor.submit(graph, {&halt, &engine.sim});
  if (!engine.sim.run(engine.stop)) return std::nullopt;
  if (!engine.executor.finished(id)) throw_cut_off(engine.loaded);
  return id;
}

}  // namespace moesim
