// Node-limited all-to-all, as DeepEP's normal kernels do it: what several ranks of a node are to get travels there
// once, to the rank of the sender's place, which passes it on inside the node. The way back is the reverse: ranks of a
// node send to the rank of the receiver's place, which sums, and one sum travels to the other node.

#include "sim/comm/collective.h"
#include "sim/comm/plan_builder.h"
#include "sim/comm/rank_nodes.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

struct NodeLimitedOptions {
  // DeepEP passes tokens on as they come, a few at a time; four pieces hide three quarters of the shorter phase.
  int32_t chunks = 4;
};

template <class Visitor>
void fields(Visitor& v, NodeLimitedOptions& s) {
  v.optional("chunks", s.chunks, between(1, 256), "pieces; while one goes across nodes, another goes inside them");
}

// One rank's traffic with one other node: `far` is the rank there that has its place.
struct NodePair {
  int32_t rank = 0;
  int32_t node = 0;
  int32_t far = 0;
  Bytes once;  // across nodes, for all ranks of the node
};

Bytes bytes_between(const AllToAllInput& in, int32_t from, int32_t to) {
  return in.bytes[size_t(from) * size_t(in.ranks) + size_t(to)];
}

NodePair pair_of(const AllToAllInput& in, const RankNodes& nodes, int32_t rank, int32_t node) {
  NodePair pair{rank, node, nodes.counterpart(node, nodes.local[size_t(rank)]), {}};
  Bytes most;
  Bytes all;
  for (const int32_t other : nodes.ranks[size_t(node)]) {
    const Bytes bytes =
        in.node_copy == NodeCopy::parts ? bytes_between(in, rank, other) : bytes_between(in, other, rank);
    most = std::max(most, bytes);
    all += bytes;
  }
  pair.once = in.node_bytes.empty() ? all : in.node_bytes[size_t(rank) * size_t(nodes.nodes()) + size_t(node)];
  CHECK(most <= pair.once);
  CHECK(pair.once <= all);
  return pair;
}

void add_pair(PlanBuilder& plan, const AllToAllInput& in, const RankNodes& nodes, const NodePair& pair) {
  const bool parts = in.node_copy == NodeCopy::parts;
  const Piece once{pair.rank, in.ranks + pair.node, 0, pair.once, !parts};
  if (parts)
    plan.add(0, pair.rank, pair.far, once);
  else
    plan.add(1, pair.far, pair.rank, once);
  for (const int32_t other : nodes.ranks[size_t(pair.node)]) {
    if (parts)
      plan.add(1, pair.far, other, {pair.rank, other, 0, bytes_between(in, pair.rank, other)});
    else
      plan.add(0, other, pair.far, {other, pair.rank, 0, bytes_between(in, other, pair.rank), true});
  }
}

CollectivePlan all_to_all_node_limited(const AllToAllInput& in, const NodeLimitedOptions& options, Rng&) {
  CHECK(in.bytes.size() == size_t(in.ranks) * size_t(in.ranks));
  const RankNodes nodes = rank_nodes(in.ranks, in.node_of_rank);
  CHECK(in.node_bytes.empty() || in.node_bytes.size() == size_t(in.ranks) * size_t(nodes.nodes()));
  PlanBuilder plan(2, options.chunks, in.keep_content);
  // What stays in its node travels while the other phase uses the fabric.
  const int32_t own_phase = in.node_copy == NodeCopy::parts ? 0 : 1;
  for (int32_t rank = 0; rank < in.ranks; ++rank)
    for (int32_t node = 0; node < nodes.nodes(); ++node) {
      if (node != nodes.node[size_t(rank)]) {
        add_pair(plan, in, nodes, pair_of(in, nodes, rank, node));
        continue;
      }
      for (const int32_t other : nodes.ranks[size_t(node)])
        plan.add(own_phase, rank, other, {rank, other, 0, bytes_between(in, rank, other)});
    }
  return plan.take();
}

[[maybe_unused]] const bool registered = Registry<AllToAllAlgorithm>::instance().add(
    "node_limited", "one copy a node, passed on inside it; back, one sum a node (DeepEP's normal kernels)",
    all_to_all_node_limited);

}  // namespace
}  // namespace moesim
