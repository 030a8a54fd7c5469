// Whole requests in order, each to the rank that hosts most of its predicted experts among those that have had none in
// this round; when all have had one, a round begins. What Speculative MoE (arXiv 2503.04398) does for attention-DP.

#include <algorithm>

#include "sim/moe/shuffle.h"

namespace moesim {
namespace {

std::vector<int32_t> shuffle_in_rounds(const ShuffleInput& in, const NoOptions&, Rng&) {
  std::vector<int32_t> rank(in.home.begin(), in.home.end());
  const size_t ranks = size_t(in.ranks);
  std::vector<bool> had(ranks, false);
  for (size_t item = 0; item < rank.size(); ++item) {
    if (item % ranks == 0) std::fill(had.begin(), had.end(), false);
    size_t best = ranks;
    for (size_t to = 0; to < ranks; ++to)
      if (!had[to] && (best == ranks || in.score[item * ranks + to] > in.score[item * ranks + best])) best = to;
    had[best] = true;
    rank[item] = int32_t(best);
  }
  return rank;
}

[[maybe_unused]] const bool registered = Registry<ShufflePolicy>::instance().add(
    "rounds", "whole requests in order, one a rank in each round, to the best rank left", shuffle_in_rounds,
    {ShuffleUnit::requests});

}  // namespace
}  // namespace moesim
