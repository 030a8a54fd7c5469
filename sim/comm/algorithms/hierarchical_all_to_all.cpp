// Hierarchical all-to-all, Tutel's 2DH (Hwang et al., arXiv 2206.03382): first inside each node, where each byte goes
// to the rank that has the place of its destination; then across nodes, between ranks of one place. Messages across
// nodes are as large as those of a node together: with m ranks a node, n ranks and S bytes a rank, S * m / n.

#include "sim/comm/collective.h"
#include "sim/comm/plan_builder.h"
#include "sim/comm/rank_nodes.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

struct HierarchicalOptions {
  int32_t chunks = 1;
};

template <class Visitor>
void fields(Visitor& v, HierarchicalOptions& s) {
  v.optional("chunks", s.chunks, between(1, 256), "pieces; while one goes across nodes, the next goes inside them");
}

CollectivePlan all_to_all_hierarchical(const AllToAllInput& in, const HierarchicalOptions& options, Rng&) {
  const size_t ranks = size_t(in.ranks);
  CHECK(in.bytes.size() == ranks * ranks);
  const RankNodes nodes = rank_nodes(in.ranks, in.node_of_rank);
  PlanBuilder plan(2, options.chunks, in.keep_content);
  const auto piece = [&](int32_t from, int32_t to) {
    return Piece{from, to, 0, in.bytes[size_t(from) * ranks + size_t(to)]};
  };
  const auto relay = [&](int32_t node, int32_t to) { return nodes.counterpart(node, nodes.local[size_t(to)]); };

  std::vector<std::vector<Piece>> by_relay(ranks);
  for (int32_t from = 0; from < in.ranks; ++from) {
    const int32_t node = nodes.node[size_t(from)];
    for (const int32_t rank : nodes.ranks[size_t(node)]) by_relay[size_t(rank)].clear();
    for (int32_t to = 0; to < in.ranks; ++to) {
      const int32_t via = nodes.node[size_t(to)] == node ? to : relay(node, to);
      by_relay[size_t(via)].push_back(piece(from, to));
    }
    for (const int32_t rank : nodes.ranks[size_t(node)]) plan.add(0, from, rank, by_relay[size_t(rank)]);
  }
  std::vector<Piece> together;
  for (int32_t node = 0; node < nodes.nodes(); ++node)
    for (int32_t to = 0; to < in.ranks; ++to) {
      if (nodes.node[size_t(to)] == node) continue;
      together.clear();
      for (const int32_t from : nodes.ranks[size_t(node)]) together.push_back(piece(from, to));
      plan.add(1, relay(node, to), to, together);
    }
  return plan.take_point_to_point();
}

[[maybe_unused]] const bool registered = Registry<AllToAllAlgorithm>::instance().add(
    "hierarchical", "inside each node by the destination's place, then across nodes between ranks of one place (2DH)",
    all_to_all_hierarchical);

}  // namespace
}  // namespace moesim
