#include "sim/moe/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "sim/core/random.h"
#include "sim/moe/placement_cost.h"
#include "sim/moe/slot_map.h"
#include "sim/policy/placement/pair_cost.h"
#include "tests/support/placement_case.h"

namespace moesim {
namespace {

Placement place(const char* policy, const PlacementInput& in, uint64_t seed = 1) {
  Rng rng(seed);
  return PolicyChoice<PlacementPolicy>(policy).decide(in, rng);
}

// With and without tables of pairs and costs, as inputs come.
PlacementInput random_input(Rng& rng) {
  const bool with_pairs = rng.below(2) == 0;
  return random_placement_input(rng, with_pairs, rng.below(2) == 0);
}

int64_t largest_load(const Placement& placement, const PlacementInput& in, size_t layer) {
  std::vector<int64_t> load(size_t(in.gpus), 0);
  for (size_t expert = 0; expert < placement.hosts[layer].size(); ++expert)
    load[index(placement.hosts[layer][expert][0])] += in.past_load[layer][expert];
  return *std::max_element(load.begin(), load.end());
}

TEST(EveryPlacement, GivesEachExpertAHostAndFillsNoGpuBeyondItsSlots) {
  for (const auto& entry : Registry<PlacementPolicy>::instance().entries())
    for (uint64_t seed = 0; seed < 40; ++seed) {
      SCOPED_TRACE(entry.name);
      SCOPED_TRACE(seed);
      Rng rng(seed);
      const PlacementInput in = random_input(rng);
      const Placement placement = entry.decide(in, entry.default_options(), rng);
      check_placement(placement, in);
      check_placement(placement_of(slot_map(placement, slots_of_gpus(in)), slots_of_gpus(in), in.experts), in);
    }
}

TEST(EveryPlacement, DependsOnItsInputAndSeedAlone) {
  for (const auto& entry : Registry<PlacementPolicy>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    Rng rng(7);
    const PlacementInput in = random_input(rng);
    EXPECT_EQ(place(entry.name.c_str(), in).hosts, place(entry.name.c_str(), in).hosts);
  }
}

// Nothing is known before the first step, and a GPU may be alone.
TEST(EveryPlacement, TakesAPastWithoutTokensAndASingleGpu) {
  for (const auto& entry : Registry<PlacementPolicy>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    PlacementInput in;
    in.layers = 2;
    in.experts = 8;
    in.past_load.assign(2, std::vector<int64_t>(8, 0));
    for (const int32_t gpus : {1, 4}) {
      in.gpus = in.gpus_per_node = gpus;
      in.slots_per_gpu = 8 / gpus;
      check_placement(place(entry.name.c_str(), in), in);
    }
  }
}

double cost_for(const char* policy, const PlacementInput& in, const Placement& placement) {
  if (policy == std::string_view("affinity")) return transition_cost(in, placement);
  if (policy == std::string_view("clustering")) return together_cost(in, placement);
  if (policy != std::string_view("smartmoe")) return placement_cost(in, placement);
  PlacementInput loads = in;
  loads.costs = {};
  return placement_cost(loads, placement);
}

TEST(SearchingPlacements, AreNeverWorseThanContiguousByTheirObjective) {
  for (const char* policy : {"affinity", "annealing", "clustering", "local_search", "replicated", "smartmoe"})
    for (uint64_t seed = 0; seed < 60; ++seed) {
      SCOPED_TRACE(policy);
      SCOPED_TRACE(seed);
      Rng rng(seed);
      const PlacementInput in = random_placement_input(rng, true, seed % 2 == 0);
      EXPECT_LE(cost_for(policy, in, place(policy, in)), cost_for(policy, in, contiguous_placement(in)) * (1 + 1e-9));
    }
}

// 6 experts on 2 GPUs: blocks of three, or every other one.
TEST(ContiguousAndRoundRobin, PlaceByNumber) {
  PlacementInput in;
  in.layers = 1;
  in.experts = 6;
  in.gpus = 2;
  in.slots_per_gpu = 3;
  const auto gpus = [](const Placement& placement) {
    std::vector<int32_t> list;
    for (const auto& hosts : placement.hosts[0]) list.push_back(int32_t(hosts[0]));
    return list;
  };
  EXPECT_EQ(gpus(place("contiguous", in)), (std::vector<int32_t>{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(gpus(place("round_robin", in)), (std::vector<int32_t>{0, 1, 0, 1, 0, 1}));
  in.slots = {2, 4};
  EXPECT_EQ(gpus(place("contiguous", in)), (std::vector<int32_t>{0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(gpus(place("round_robin", in)), (std::vector<int32_t>{0, 1, 0, 1, 1, 1}));
}

// Heaviest first: 7 to GPU 0, 6 to 1, 5 to 1 (6 < 7), 4 to 0 (7 < 11), 3 to 0 or 1 (11 each: 0), 2 to 1.
TEST(Greedy, FollowsTheRuleOnAHandMadeCase) {
  PlacementInput in;
  in.layers = 1;
  in.experts = 6;
  in.gpus = 2;
  in.slots_per_gpu = 3;
  in.past_load = {{2, 3, 4, 5, 6, 7}};
  const Placement placement = place("greedy", in);
  const std::vector<std::vector<GpuId>> expected = {{GpuId{1}}, {GpuId{0}}, {GpuId{0}},
                                                    {GpuId{1}}, {GpuId{1}}, {GpuId{0}}};
  EXPECT_EQ(placement.hosts[0], expected);
}

// Graham's list bound (1966): whoever ends last began no later than the mean of the others, so the largest load is at
// most mean + (1 - 1/m) * heaviest. It holds where slots do not bind.
TEST(Greedy, KeepsGrahamsBoundWhereSlotsDoNotBind) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PlacementInput in = random_input(rng);
    in.slots.clear();
    in.slots_per_gpu = in.experts;
    const Placement placement = place("greedy", in);
    for (size_t layer = 0; layer < in.past_load.size(); ++layer) {
      const std::vector<int64_t>& load = in.past_load[layer];
      const double mean = double(std::accumulate(load.begin(), load.end(), int64_t{0})) / in.gpus;
      const double heaviest = double(*std::max_element(load.begin(), load.end()));
      EXPECT_LE(double(largest_load(placement, in, layer)), mean + heaviest * (1.0 - 1.0 / in.gpus) + 1e-9);
    }
  }
}

}  // namespace
}  // namespace moesim
