// NVLink SHARP: inside a node the switch sums and multicasts (NCCL's NVLS). The owner of a shard reads it through the
// switch, which gets it from every GPU and passes one sum on; the owner writes the result once, and the switch copies
// it to every GPU. So with m GPUs a GPU's link carries S up and S / m down in the first half, S / m up and S down in
// the second: S (1 + 1 / m) each way in an all-reduce, where a ring takes 2 S (m - 1) / m.
//
// Transfers have two ends, and a flow loads its sender's uplink as much as its receiver's downlink. So what a GPU
// exchanges with the switch is drawn as one transfer to the next GPU of its node, which loads just those two links: in
// an all-reduce inside one node, where both halves overlap, by the very bytes above; in a half alone, the idle
// direction is loaded as much as the busy one, which changes nothing unless something else travels there.

#include "sim/comm/node_shards.h"

namespace moesim {
namespace {

// Each rank of a node with others: `wholes` buffers and, with `shards`, its part of a buffer.
void add_switch(PlanBuilder& plan, int32_t phase, const ReductionInput& in, const RankNodes& nodes, bool with_shards) {
  for (const std::vector<int32_t>& node : nodes.ranks)
    for (size_t local = 0; local < node.size(); ++local) {
      const int64_t size = int64_t(node.size());
      const Bytes shard{with_shards ? (in.bytes.count + size - 1) / size : 0};
      plan.add(phase, node[local], node[(local + 1) % node.size()], {0, 0, 0, in.bytes + shard});
    }
}

CollectivePlan reduce_nvls(const ReductionInput& in, const NoOptions&, Rng&) {
  const RankNodes nodes = rank_nodes(in.ranks, in.node_of_rank);
  PlanBuilder plan(4, 1, false);  // what the switch sums cannot be followed from end to end
  const bool scatter = in.reduction != Reduction::all_gather;
  const bool gather = in.reduction != Reduction::reduce_scatter;
  if (scatter && gather && nodes.nodes() == 1) {
    add_switch(plan, 0, in, nodes, true);
    return plan.take();
  }
  if (scatter) {
    add_switch(plan, 0, in, nodes, false);
    add_across_nodes(plan, 1, in, nodes, false);
  }
  if (gather) {
    add_across_nodes(plan, 2, in, nodes, true);
    add_switch(plan, 3, in, nodes, false);
  }
  return plan.take();
}

[[maybe_unused]] const bool registered = Registry<ReductionAlgorithm>::instance().add(
    "nvls", "the NVSwitch of each node sums and copies (NVLink SHARP); across nodes as hierarchical", reduce_nvls);

}  // namespace
}  // namespace moesim
