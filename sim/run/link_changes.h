// The links that a scenario lets fail, slow down or come back, by number.
#pragma once

#include <vector>

#include "sim/run/scenario.h"
#include "topologies/topology.h"

namespace moesim {

// In order of time. Throws one ConfigError with every fault: an unknown vertex, no such link, a rate beyond the link's.
std::vector<LinkChange> link_changes_of(const LoadedScenario& loaded, const Topology& topology);

}  // namespace moesim
