#include "sim/moe/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "sim/core/random.h"

namespace moesim {
namespace {

PlacementInput random_input(Rng& rng) {
  PlacementInput in;
  in.layers = int32_t(rng.between(1, 4));
  in.gpus = int32_t(rng.between(1, 16));
  in.experts = int32_t(rng.between(1, 100));
  in.gpus_per_node = 1;
  in.slots_per_gpu = (in.experts + in.gpus - 1) / in.gpus;
  in.past_load.resize(size_t(in.layers));
  for (auto& layer : in.past_load)
    for (int32_t expert = 0; expert < in.experts; ++expert) layer.push_back(int64_t(rng.below(1000)));
  return in;
}

Placement place(const char* policy, const PlacementInput& in, uint64_t seed = 1) {
  Rng rng(seed);
  const auto* const entry = Registry<PlacementPolicy>::instance().find(policy);
  return entry->decide(in, entry->default_options(), rng);
}

int64_t largest_load(const Placement& placement, const PlacementInput& in, size_t layer) {
  std::vector<int64_t> load(size_t(in.gpus), 0);
  for (size_t expert = 0; expert < placement.hosts[layer].size(); ++expert)
    load[index(placement.hosts[layer][expert][0])] += in.past_load[layer][expert];
  return *std::max_element(load.begin(), load.end());
}

TEST(EveryPlacement, GivesEachExpertAHostAndFillsNoGpuBeyondItsSlots) {
  for (const auto& entry : Registry<PlacementPolicy>::instance().entries())
    for (uint64_t seed = 0; seed < 200; ++seed) {
      SCOPED_TRACE(entry.name);
      SCOPED_TRACE(seed);
      Rng rng(seed);
      const PlacementInput in = random_input(rng);
      check_placement(entry.decide(in, entry.default_options(), rng), in);
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
