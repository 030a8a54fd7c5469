// Hierarchical sparse collective: a block crosses to a node once and is passed on inside it; sums come back the same
// way. As many bytes in all as direct, but fewer across nodes where several ranks of one hold a block.

#include "sim/comm/collective.h"
#include "sim/comm/plan_builder.h"
#include "sim/comm/rank_nodes.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

struct HierarchicalSparseOptions {
  int32_t chunks = 1;
};

template <class Visitor>
void fields(Visitor& v, HierarchicalSparseOptions& s) {
  v.optional("chunks", s.chunks, between(1, 256), "pieces; while one goes across nodes, another goes inside them");
}

CollectivePlan sparse_hierarchical(const SparseInput& in, const HierarchicalSparseOptions& options, Rng&) {
  CHECK(in.owner.size() == in.block_bytes.size());
  CHECK(in.replicas.size() == in.block_bytes.size());
  const RankNodes nodes = rank_nodes(in.ranks, in.node_of_rank);
  const bool gather = in.direction == SparseDirection::all_gather;
  PlanBuilder plan(2, options.chunks, in.keep_content);
  // Phases of a gather; sums take them the other way round.
  const auto add = [&](int32_t phase, int32_t root, int32_t leaf, const Piece& piece) {
    if (gather)
      plan.add(phase, root, leaf, piece);
    else
      plan.add(1 - phase, leaf, root, piece);
  };
  std::vector<std::vector<int32_t>> replicas(size_t(nodes.nodes()));
  for (size_t block = 0; block < in.block_bytes.size(); ++block) {
    const int32_t owner = in.owner[block];
    const Piece whole{int32_t(block), 0, 0, in.block_bytes[block], !gather};
    for (auto& of_node : replicas) of_node.clear();
    for (const int32_t replica : in.replicas[block]) replicas[size_t(nodes.node[size_t(replica)])].push_back(replica);
    for (int32_t node = 0; node < nodes.nodes(); ++node) {
      const std::vector<int32_t>& there = replicas[size_t(node)];
      if (there.empty()) continue;
      const bool is_own = node == nodes.node[size_t(owner)];
      const int32_t first = is_own ? owner : there[block % there.size()];  // other blocks take other ranks
      add(0, owner, first, whole);
      for (const int32_t replica : there) add(1, first, replica, whole);
    }
  }
  return plan.take();
}

[[maybe_unused]] const bool registered = Registry<SparseAlgorithm>::instance().add(
    "hierarchical", "each block across to a node once, and on inside it", sparse_hierarchical);

}  // namespace
}  // namespace moesim
