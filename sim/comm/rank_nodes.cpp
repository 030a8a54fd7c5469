#include "sim/comm/rank_nodes.h"

#include <map>

#include "sim/core/check.h"

namespace moesim {

RankNodes rank_nodes(int32_t ranks, std::span<const int32_t> node_of_rank) {
  CHECK(node_of_rank.empty() || node_of_rank.size() == size_t(ranks));
  RankNodes nodes;
  std::map<int32_t, int32_t> number;
  for (int32_t rank = 0; rank < ranks; ++rank) {
    const int32_t given = node_of_rank.empty() ? 0 : node_of_rank[size_t(rank)];
    const auto [found, is_new] = number.try_emplace(given, nodes.nodes());
    if (is_new) nodes.ranks.emplace_back();
    std::vector<int32_t>& there = nodes.ranks[size_t(found->second)];
    nodes.node.push_back(found->second);
    nodes.local.push_back(int32_t(there.size()));
    there.push_back(rank);
  }
  return nodes;
}

}  // namespace moesim
