// Tree reduction over a binomial tree with rank 0 as its root: an all-reduce is a reduce and a broadcast of the whole
// buffer, a reduce-scatter a reduce and a scatter, an all-gather a gather and a broadcast. The fewest rounds,
// 2 ceil(log2 ranks), but each carries up to the whole buffer: for short ones. The algorithms of Thakur, Rabenseifner
// and Gropp, IJHPCA 2005.

#include <algorithm>
#include <bit>

#include "sim/comm/collective.h"
#include "sim/comm/plan_builder.h"
#include "sim/comm/reduction_shards.h"

namespace moesim {
namespace {

int32_t levels(int32_t ranks) { return std::bit_width(uint32_t(ranks - 1)); }

// Calls edge(parent, child, level) for each edge of the tree. A child at level k has the ranks child .. child + 2^k - 1
// below it, itself included, as far as there are any.
template <class Edge>
void for_each_edge(int32_t ranks, Edge edge) {
  for (int32_t child = 1; child < ranks; ++child) {
    const int32_t level = std::countr_zero(uint32_t(child));
    edge(child - (1 << level), child, level);
  }
}

std::vector<Piece> shards_below(const ReductionInput& in, int32_t child, int32_t level) {
  std::vector<Piece> shards;
  for (int32_t rank = child; rank < std::min(in.ranks, child + (1 << level)); ++rank)
    shards.push_back(shard_piece(in.bytes, in.ranks, rank, false));
  return shards;
}

CollectivePlan reduce_tree(const ReductionInput& in, const NoOptions&, Rng&) {
  const int32_t height = levels(in.ranks);
  PlanBuilder plan(2 * height, 1, in.keep_content);
  for_each_edge(in.ranks, [&](int32_t parent, int32_t child, int32_t level) {
    const int32_t up = level;  // leaves first
    const int32_t down = 2 * height - 1 - level;
    const std::vector<Piece> below = shards_below(in, child, level);
    if (in.reduction == Reduction::all_gather)
      plan.add(up, child, parent, below);
    else
      plan.add(up, child, parent, {0, 0, 0, in.bytes, true});
    if (in.reduction == Reduction::reduce_scatter)
      plan.add(down, parent, child, below);
    else
      plan.add(down, parent, child, {0, 0, 0, in.bytes});
  });
  return plan.take();
}

[[maybe_unused]] const bool registered = Registry<ReductionAlgorithm>::instance().add(
    "tree", "up and down a binomial tree: few rounds, for short buffers", reduce_tree);

}  // namespace
}  // namespace moesim
