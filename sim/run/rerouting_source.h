// Routing of a scenario whose experts are chosen anew from recorded or drawn scores.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/run/scenario.h"
#include "traces/reroute.h"

namespace moesim {

// /routing/reroute with what the model says filled in: its k, its zero-computation experts.
Rerouting rerouting_of(const LoadedScenario& loaded);

// What is wrong with it, at the settings' places. Nothing where the scenario has none.
std::vector<Fault> check_scenario_rerouting(const JsonNode& root, const LoadedScenario& loaded);

// The scenario's trace, or so many drawn tokens, with experts chosen anew.
RoutingTrace rerouted_trace(const LoadedScenario& loaded, int64_t drawn_tokens, RerouteCounts& counts);

}  // namespace moesim
