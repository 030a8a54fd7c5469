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

// Of the first expert-parallel group, with what is needed of it: gathering more takes time in every run.
PlacementInput placement_input(const LoadedScenario& loaded, const Cluster& cluster, const RoutingSource& routing,
                               PlacementNeeds needs);

PlacementNeeds needs_of(const PolicyChoice<PlacementPolicy>& policy);

// The scenario's policy, with a path of the policy `file` relative to the working directory.
PolicyChoice<PlacementPolicy> chosen_placement(const LoadedScenario& loaded);

Placement decide_placement(const LoadedScenario& loaded, const PlacementInput& in);

// Throws a ConfigError where the scenario takes its placement from a file that does not fit.
void check_placement_file(const LoadedScenario& loaded, const Layout& layout);

}  // namespace moesim
