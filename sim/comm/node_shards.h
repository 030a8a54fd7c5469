// How shards travel between nodes in reductions that know of nodes.
#pragma once

#include "sim/comm/plan_builder.h"
#include "sim/comm/rank_nodes.h"

namespace moesim {

// Each shard between its owner and the ranks of the owner's place on the other nodes: sums towards the owner, or the
// result from it.
void add_across_nodes(PlanBuilder& plan, int32_t phase, const ReductionInput& in, const RankNodes& nodes, bool gather);

// Each shard inside each node, between the rank that has it there (the owner, or the one of its place) and the others.
void add_inside_nodes(PlanBuilder& plan, int32_t phase, const ReductionInput& in, const RankNodes& nodes, bool gather);

}  // namespace moesim
