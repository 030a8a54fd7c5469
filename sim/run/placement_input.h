// What the placement of a scenario is decided from: the training part of its routing, and its cluster.
#pragma once

#include "models/precision.h"
#include "sim/moe/placement.h"
#include "sim/run/cluster.h"
#include "sim/run/routing_source.h"
#include "sim/run/scenario.h"

namespace moesim {

// Bytes of one token's hidden state on the wire: fp8 has one 4-byte scale every 128 values, as DeepEP sends it.
Bytes token_bytes(int64_t hidden, Precision precision);

// Slots that each GPU of an expert-parallel group has in a MoE layer.
int32_t expert_slots(const LoadedScenario& loaded, const Layout& layout);

// Of the first expert-parallel group. What only some policies look at, the tables of pairs and the costs, is left out
// for those that are known to look at loads alone: it takes time in every run.
PlacementInput placement_input(const LoadedScenario& loaded, const Cluster& cluster, const RoutingSource& routing,
                               const std::string& policy);

// With all of it, whatever the policy.
PlacementInput full_placement_input(const LoadedScenario& loaded, const Cluster& cluster, const RoutingSource& routing);

// The scenario's policy, with a path of the policy `file` relative to the working directory.
PolicyChoice<PlacementPolicy> chosen_placement(const LoadedScenario& loaded);

Placement decide_placement(const LoadedScenario& loaded, const PlacementInput& in);

// Throws a ConfigError where the scenario takes its placement from a file that does not fit.
void check_placement_file(const LoadedScenario& loaded, const Layout& layout);

}  // namespace moesim
