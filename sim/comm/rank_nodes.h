// Which ranks of a collective share a node.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moesim {

struct RankNodes {
  std::vector<int32_t> node;                // [rank] numbered from 0 in order of their first ranks
  std::vector<int32_t> local;               // [rank] its place among the ranks of its node
  std::vector<std::vector<int32_t>> ranks;  // [node][local]

  int32_t nodes() const { return int32_t(ranks.size()); }

  // The rank of a node that deals with those of place `local` on other nodes: the one of the same place, or where the
  // node has fewer ranks, the places wrap around.
  int32_t counterpart(int32_t of_node, int32_t of_local) const {
    const std::vector<int32_t>& there = ranks[size_t(of_node)];
    return there[size_t(of_local) % there.size()];
  }
};

// An empty span puts all ranks on one node.
RankNodes rank_nodes(int32_t ranks, std::span<const int32_t> node_of_rank);

}  // namespace moesim
