// Hierarchical reduction: inside each node first, so that only one sum of each shard a node crosses the fabric. A
// reduce-scatter goes inside the nodes, then across them between ranks of one place; an all-gather the other way; an
// all-reduce is both. The BlueConnect decomposition (Cho et al., MLSys 2019) with two levels.

#include "sim/comm/node_shards.h"

namespace moesim {
namespace {

struct HierarchicalReductionOptions {
  int32_t chunks = 1;
};

template <class Visitor>
void fields(Visitor& v, HierarchicalReductionOptions& s) {
  v.optional("chunks", s.chunks, between(1, 256), "pieces; while one goes across nodes, another goes inside them");
}

CollectivePlan reduce_hierarchical(const ReductionInput& in, const HierarchicalReductionOptions& options, Rng&) {
  const RankNodes nodes = rank_nodes(in.ranks, in.node_of_rank);
  const bool scatter = in.reduction != Reduction::all_gather;
  const bool gather = in.reduction != Reduction::reduce_scatter;
  const int32_t gather_phase = scatter ? 2 : 0;
  PlanBuilder plan(scatter && gather ? 4 : 2, options.chunks, in.keep_content);
  if (scatter) {
    add_inside_nodes(plan, 0, in, nodes, false);
    add_across_nodes(plan, 1, in, nodes, false);
  }
  if (gather) {
    add_across_nodes(plan, gather_phase, in, nodes, true);
    add_inside_nodes(plan, gather_phase + 1, in, nodes, true);
  }
  return plan.take();
}

[[maybe_unused]] const bool registered = Registry<ReductionAlgorithm>::instance().add(
    "hierarchical", "inside nodes and across them, so that one sum a node crosses the fabric", reduce_hierarchical);

}  // namespace
}  // namespace moesim
