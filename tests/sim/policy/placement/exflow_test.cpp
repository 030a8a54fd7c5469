#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "sim/policy/placement/affinity_partition.h"
#include "tests/support/skewed_input.h"

namespace moesim {
namespace {

// 1 for each token that changes its GPU, and 1 more where it changes its node.
int64_t steps_of(const PlacementInput& in, const Placement& placement) {
  int64_t steps = 0;
  for (size_t layer = 0; layer + 1 < size_t(in.layers); ++layer)
    for (size_t a = 0; a < size_t(in.experts); ++a)
      for (size_t b = 0; b < size_t(in.experts); ++b) {
        const int32_t from = int32_t(placement.hosts[layer][a][0]);
        const int32_t to = int32_t(placement.hosts[layer + 1][b][0]);
        const int64_t tokens = in.transitions[layer][a * size_t(in.experts) + b];
        steps += (from != to ? tokens : 0) + (from / in.gpus_per_node != to / in.gpus_per_node ? tokens : 0);
      }
  return steps;
}

int64_t least_steps(const PlacementInput& in, Placement& placement) {
  if (placement.hosts.size() == size_t(in.layers)) return steps_of(in, placement);
  std::vector<GpuId> gpus = gpu_of_slots(in);  // as many as experts here
  int64_t least = INT64_MAX;
  do {
    placement.hosts.emplace_back();
    for (const GpuId gpu : gpus) placement.hosts.back().push_back({gpu});
    least = std::min(least, least_steps(in, placement));
    placement.hosts.pop_back();
  } while (std::next_permutation(gpus.begin(), gpus.end()));
  return least;
}

TEST(Exflow, FindsTheFewestStepsOfAllPlacements) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const int32_t gpus = int32_t(rng.between(2, 3));
    const int32_t layers = gpus == 2 ? int32_t(rng.between(2, 4)) : 2;
    const PlacementInput in = skewed_input(layers, 2 * gpus, gpus, 2, rng);
    Placement none;
    const double least = double(least_steps(in, none));
    const Placement placement = placement_by_settings("exflow", R"("gap": "0 %", "node_limit": 100000)", in);
    EXPECT_EQ(double(steps_of(in, placement)), least);
    EXPECT_EQ(placement.proof->objective, least);
    EXPECT_NEAR(placement.proof->bound, least, 1e-5 * least);
  }
}

TEST(Exflow, BoundsTheStepsBetweenNodesToo) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PlacementInput in = skewed_input(3, 4, 4, 1, rng);
    in.gpus_per_node = 2;
    Placement none;
    const double least = double(least_steps(in, none));
    const Placement placement = placement_by_settings("exflow", R"("gap": "0 %", "node_limit": 100000)", in);
    EXPECT_GE(placement.proof->objective, least);
    EXPECT_LE(placement.proof->bound, least * (1 + 1e-6));
    EXPECT_EQ(placement.proof->objective, double(steps_of(in, placement)));
  }
}

// Each expert's tokens all go to one expert of the next layer: experts that follow each other lie together, and no
// token moves. As many experts, layers and GPUs as Mixtral on one node and on two.
TEST(Exflow, LeavesNoStepInADeterministicChain) {
  for (const int32_t gpus : {4, 8}) {
    Rng rng(static_cast<uint64_t>(gpus));
    PlacementInput in = skewed_input(32, 8, gpus, 8 / gpus, rng);
    in.gpus_per_node = 4;
    for (std::vector<int64_t>& tokens : in.transitions) {
      std::vector<size_t> next(8);
      std::iota(next.begin(), next.end(), size_t{0});
      rng.shuffle(std::span(next));
      tokens.assign(64, 0);
      for (size_t expert = 0; expert < 8; ++expert) tokens[expert * 8 + next[expert]] = 1000 + int64_t(rng.below(500));
    }
    const Placement placement = placement_by_settings("exflow", "", in);
    EXPECT_EQ(steps_of(in, placement), 0) << gpus;
    EXPECT_EQ(placement.proof->bound, 0);
  }
}

TEST(Exflow, IsNeverWorseThanRecursiveBisectionOrContiguous) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const int32_t gpus = seed % 2 == 0 ? 4 : 8;
    PlacementInput in = skewed_input(6, 8, gpus, 8 / gpus, rng);
    in.gpus_per_node = seed < 3 ? 4 : 8;
    ProgramOptions options;
    options.node_limit = 20;
    const Placement placement = placement_by_settings("exflow", R"("node_limit": 20, "window": 1)", in);
    std::vector<int32_t> all(8);
    std::iota(all.begin(), all.end(), 0);
    const PartProblem p = part_problem(in, std::vector(6, all), std::vector<int32_t>(size_t(gpus), 8 / gpus));
    const Parts halves = bisect_parts(p, size_t(in.gpus_per_node), [&](const PartProblem& cut) {
                           return solve_parts(cut, 1, options);
                         }).parts;
    const Placement bisection =
        place_each(in, [&](int32_t layer, int32_t expert) { return halves[size_t(layer)][size_t(expert)]; });
    EXPECT_LE(steps_of(in, placement), steps_of(in, bisection));
    EXPECT_LE(steps_of(in, placement), steps_of(in, contiguous_placement(in)));
    EXPECT_LE(placement.proof->bound, placement.proof->objective);
    EXPECT_GT(placement.proof->bound, 0);
  }
}

TEST(Exflow, SaysWhereItKnowsNoTransitions) {
  Rng rng(1);
  PlacementInput in = skewed_input(3, 8, 4, 2, rng);
  in.transitions.clear();
  const Placement placement = placement_by_settings("exflow", "", in);
  EXPECT_EQ(placement.hosts, contiguous_placement(in).hosts);
  EXPECT_EQ(placement.proof->warnings.size(), 1u);
}

}  // namespace
}  // namespace moesim
