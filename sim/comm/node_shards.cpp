#include "sim/comm/node_shards.h"

#include "sim/comm/reduction_shards.h"

namespace moesim {
namespace {

int32_t keeper(const RankNodes& nodes, int32_t node, int32_t owner) {
  return nodes.node[size_t(owner)] == node ? owner : nodes.counterpart(node, nodes.local[size_t(owner)]);
}

void add_shard(PlanBuilder& plan, int32_t phase, int32_t root, int32_t other, const Piece& shard) {
  if (shard.adds)
    plan.add(phase, other, root, shard);
  else
    plan.add(phase, root, other, shard);
}

}  // namespace

void add_across_nodes(PlanBuilder& plan, int32_t phase, const ReductionInput& in, const RankNodes& nodes, bool gather) {
  for (int32_t owner = 0; owner < in.ranks; ++owner)
    for (int32_t node = 0; node < nodes.nodes(); ++node)
      add_shard(plan, phase, owner, keeper(nodes, node, owner), shard_piece(in.bytes, in.ranks, owner, !gather));
}

void add_inside_nodes(PlanBuilder& plan, int32_t phase, const ReductionInput& in, const RankNodes& nodes, bool gather) {
  std::vector<std::vector<Piece>> kept;  // [rank of the node]: one message to each other rank carries them all
  for (int32_t node = 0; node < nodes.nodes(); ++node) {
    kept.assign(size_t(in.ranks), {});
    for (int32_t owner = 0; owner < in.ranks; ++owner)
      kept[size_t(keeper(nodes, node, owner))].push_back(shard_piece(in.bytes, in.ranks, owner, !gather));
    for (const int32_t root : nodes.ranks[size_t(node)])
      for (const int32_t other : nodes.ranks[size_t(node)])
        plan.add(phase, gather ? root : other, gather ? other : root, kept[size_t(root)]);
  }
}

}  // namespace moesim
