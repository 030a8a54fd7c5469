// Items to ranks by score, while no rank gets much more than its share.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moesim {

struct BalancedProblem {
  int32_t ranks = 0;
  std::span<const float> score;     // [item * ranks + rank] what it gains there
  std::span<const int64_t> weight;  // [item]
  double limit = 1.1;               // the heaviest rank over the mean
};

// The most that a rank may hold: the limit, or the least that has room for all items of equal weight.
int64_t capacity_of(const BalancedProblem& problem);

// Items of one weight: the highest sum of scores within the capacity, exactly. All begin where they score best; then
// the cheapest chain of moves from a rank that is too full to one with room is carried out until none is too full (the
// successive shortest paths of a minimum-cost flow, whose nodes are the ranks). O(moves * (ranks^3 + log items)). Ties
// go by rank and item.
std::vector<int32_t> assign_alike(const BalancedProblem& problem);

// Items of any weight: heaviest first to the best rank with room, where there is none to the least loaded; then moves
// and exchanges of two items as long as one gains and keeps the heaviest rank within the capacity, or within what it
// is. A heuristic.
std::vector<int32_t> assign_weighted(const BalancedProblem& problem);

}  // namespace moesim
