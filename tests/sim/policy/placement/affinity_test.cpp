#include <gtest/gtest.h>

#include <numeric>

#include "sim/core/random.h"
#include "sim/policy/placement/pair_cost.h"
#include "tests/support/placement_case.h"

namespace moesim {
namespace {

Placement place(const char* policy, const PlacementInput& in) {
  Rng rng(1);
  return PolicyChoice<PlacementPolicy>(policy).decide(in, rng);
}

// Every token of expert e goes to one expert of the next layer, and no two experts to the same: whatever the
// permutations, all chains can stay on their GPUs, so nothing has to move.
TEST(Affinity, LetsNoTokenMoveAlongChains) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PlacementInput in;
    in.layers = int32_t(rng.between(2, 12));
    in.gpus_per_node = int32_t(rng.between(1, 4));
    in.gpus = in.gpus_per_node * int32_t(rng.between(1, 4));
    in.slots_per_gpu = int32_t(rng.between(1, 4));
    in.experts = in.gpus * in.slots_per_gpu;
    in.past_load.assign(size_t(in.layers), std::vector<int64_t>(size_t(in.experts), 1));
    std::vector<size_t> next(size_t(in.experts));
    std::iota(next.begin(), next.end(), size_t{0});
    for (int32_t layer = 1; layer < in.layers; ++layer) {
      rng.shuffle(std::span(next));
      std::vector<int64_t>& tokens = in.transitions.emplace_back(next.size() * next.size(), 0);
      for (size_t expert = 0; expert < next.size(); ++expert)
        tokens[expert * next.size() + next[expert]] = 1 + int64_t(rng.below(100));
    }
    EXPECT_EQ(transition_cost(in, place("affinity", in)), 0);
  }
}

// Groups of experts that tokens stay within from layer to layer, numbered at random, in which each leads to each: they
// fit GPUs, so nothing has to move either.
TEST(Affinity, FindsGroupsThatTokensStayIn) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PlacementInput in;
    in.layers = 6;
    in.gpus = 4;
    in.gpus_per_node = 2;
    in.slots_per_gpu = 4;
    in.experts = 16;
    in.past_load.assign(6, std::vector<int64_t>(16, 1));
    std::vector<std::vector<size_t>> group(6, std::vector<size_t>(16));
    for (std::vector<size_t>& layer : group) {
      for (size_t expert = 0; expert < 16; ++expert) layer[expert] = expert / 4;
      rng.shuffle(std::span(layer));
    }
    for (size_t layer = 0; layer < 5; ++layer) {
      std::vector<int64_t>& tokens = in.transitions.emplace_back(256, 0);
      for (size_t pair = 0; pair < 256; ++pair)
        if (group[layer][pair / 16] == group[layer + 1][pair % 16]) tokens[pair] = 1 + int64_t(rng.below(10));
    }
    EXPECT_EQ(transition_cost(in, place("affinity", in)), 0);
  }
}

// Four tokens go 0 -> 1 and one 0 -> 0 on two GPUs of one server: the distance counts once a token that moves.
TEST(TransitionCost, CountsTokensByDistance) {
  PlacementInput in;
  in.layers = 2;
  in.experts = 2;
  in.gpus = 2;
  in.gpus_per_node = 2;
  in.slots_per_gpu = 1;
  in.transitions = {{1, 4, 0, 0}};
  EXPECT_EQ(transition_cost(in, contiguous_placement(in)), 4);
  in.gpus_per_node = 1;
  EXPECT_EQ(transition_cost(in, contiguous_placement(in)), 8);
}

}  // namespace
}  // namespace moesim
