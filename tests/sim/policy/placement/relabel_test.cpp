#include "sim/policy/placement/relabel.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/moe/placement_cost.h"
#include "sim/moe/slot_map.h"
#include "tests/support/placement_case.h"

namespace moesim {
namespace {

std::vector<double> sorted_loads(const PlacementInput& in, const Placement& placement, size_t layer) {
  std::vector<double> loads = gpu_loads(placement.hosts[layer], in.past_load[layer], size_t(in.gpus));
  std::sort(loads.begin(), loads.end());
  return loads;
}

// Whatever policy decides anew for other loads, renaming moves no more, loads no GPU more, and is a valid placement.
TEST(Relabelled, NeverMovesMoreAndKeepsLoads) {
  for (const auto& entry : Registry<PlacementPolicy>::instance().entries())
    for (uint64_t seed = 0; seed < 8; ++seed) {
      SCOPED_TRACE(entry.name);
      SCOPED_TRACE(seed);
      Rng rng(seed);
      PlacementInput in = random_placement_input(rng, true, false);
      const Placement present = entry.decide(in, entry.default_options(), rng);
      for (std::vector<int64_t>& layer : in.past_load)
        for (int64_t& load : layer) load = int64_t(rng.below(1000));
      const Placement next = entry.decide(in, entry.default_options(), rng);
      const Placement renamed = relabelled(in, present, next, entry.traits.needs);
      check_placement(renamed, in);
      EXPECT_LE(copies_to_move(present, renamed), copies_to_move(present, next));
      for (size_t layer = 0; layer < size_t(in.layers); ++layer) {
        const std::vector<double> before = sorted_loads(in, next, layer);
        const std::vector<double> after = sorted_loads(in, renamed, layer);
        for (size_t gpu = 0; gpu < before.size(); ++gpu) EXPECT_NEAR(after[gpu], before[gpu], 1e-9 * (1 + before[gpu]));
      }
    }
}

// Three GPUs that pass their experts on in a ring: named anew, nothing moves.
TEST(Relabelled, MovesNothingWhereGpusOnlyChangePlaces) {
  PlacementInput in;
  in.layers = 2;
  in.experts = 6;
  in.gpus = in.gpus_per_node = 3;
  in.slots_per_gpu = 2;
  in.past_load.assign(2, std::vector<int64_t>(6, 1));
  const Placement present = contiguous_placement(in);
  const Placement next = place_each(in, [](int32_t, int32_t expert) { return (expert / 2 + 1) % 3; });
  EXPECT_EQ(copies_to_move(present, next), 12);
  for (const PlacementNeeds needs : {PlacementNeeds::loads, PlacementNeeds::pairs})
    EXPECT_EQ(relabelled(in, present, next, needs).hosts, present.hosts);
}

// GPU 1 is twice as fast, so what the fast one is to have stays with it.
TEST(Relabelled, LeavesAGpuOfAnotherSpeedItsOwn) {
  PlacementInput in;
  in.layers = 1;
  in.experts = 2;
  in.gpus = in.gpus_per_node = 2;
  in.slots_per_gpu = 1;
  in.past_load = {{1, 2}};
  const Placement present = contiguous_placement(in);
  const Placement next = place_each(in, [](int32_t, int32_t expert) { return 1 - expert; });
  EXPECT_EQ(relabelled(in, present, next, PlacementNeeds::loads).hosts, present.hosts);
  in.costs.token_s = {2e-8, 1e-8};
  EXPECT_EQ(relabelled(in, present, next, PlacementNeeds::loads).hosts, next.hosts);
}

// Policies that plan tokens' ways over layers get one set of names: with layer 0 passed on by one GPU and layer 1 by
// two, either layer could keep everything, both together only one of them.
TEST(Relabelled, NamesAllLayersAlikeWhereTheirPairsMatter) {
  PlacementInput in;
  in.layers = 2;
  in.experts = in.gpus = in.gpus_per_node = 3;
  in.slots_per_gpu = 1;
  in.past_load.assign(2, std::vector<int64_t>(3, 1));
  const Placement present = contiguous_placement(in);
  const Placement next = place_each(in, [](int32_t layer, int32_t expert) { return (expert + 1 + layer) % 3; });
  EXPECT_EQ(copies_to_move(present, relabelled(in, present, next, PlacementNeeds::costs)), 0);
  EXPECT_EQ(copies_to_move(present, relabelled(in, present, next, PlacementNeeds::pairs)), 3);
}

}  // namespace
}  // namespace moesim
