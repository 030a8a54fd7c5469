// Hecate's, FasterMoE's and SmartMoE's placements, and LPT for GPUs that differ, on cases made by hand.
#include <gtest/gtest.h>

#include "sim/config/json.h"
#include "sim/core/random.h"
#include "sim/moe/placement_cost.h"

namespace moesim {
namespace {

Placement place(const char* policy, const PlacementInput& in) {
  Rng rng(1);
  return PolicyChoice<PlacementPolicy>(policy).decide(in, rng);
}

PlacementInput one_layer(std::vector<int64_t> loads, int32_t gpus, int32_t slots) {
  PlacementInput in;
  in.layers = 1;
  in.experts = int32_t(loads.size());
  in.gpus = in.gpus_per_node = gpus;
  in.slots_per_gpu = slots;
  in.past_load = {std::move(loads)};
  return in;
}

std::vector<GpuId> everywhere(int32_t gpus) {
  std::vector<GpuId> all;
  for (int32_t gpu = 0; gpu < gpus; ++gpu) all.push_back(GpuId{gpu});
  return all;
}

// GPU 1 is three times as slow. 6 is done after 6 on GPU 0, 18 on GPU 1; then 5 after 11 or 15; then 4 after 15 or 12.
TEST(Lpt, GivesASlowGpuLess) {
  PlacementInput in = one_layer({6, 5, 4}, 2, 3);
  in.costs.token_s = {1, 3};
  EXPECT_EQ(place("lpt", in).hosts[0], (std::vector<std::vector<GpuId>>{{GpuId{0}}, {GpuId{0}}, {GpuId{1}}}));
}

// Blocks {12, 1} and {2, 1}: largest load 13. With the 12 on both GPUs loads are 7 and 9, with the 2 too 8 and 8. Then
// no GPU has a slot left.
TEST(Shadowing, CopiesTheHottestExpertsToEveryGpuWithinTheSlots) {
  const PlacementInput in = one_layer({12, 1, 2, 1}, 2, 3);
  const Placement placement = place("shadowing", in);
  for (const size_t expert : {0, 2}) EXPECT_EQ(placement.hosts[0][expert], everywhere(2));
  for (const size_t expert : {1, 3}) EXPECT_EQ(placement.hosts[0][expert].size(), 1u);
}

// All equal: a copy of any expert lowers nothing.
TEST(Shadowing, StopsWhereTheLargestLoadDoesNotFall) {
  EXPECT_FALSE(has_copies(place("shadowing", one_layer({3, 3, 3, 3}, 2, 4))));
}

// Blocks {9, 1}, {8, 2} have the largest load 10, and so does the greedy {9, 1}, {8, 2}: nothing moves. With 9, 8, 2, 1
// it is 17 against 10: 9 to GPU 0, 8 to 1, 2 to 1, 1 to 0.
TEST(SmartMoe, MovesExpertsOnlyWhereTheLargestLoadFalls) {
  const PlacementInput level = one_layer({9, 1, 8, 2}, 2, 2);
  EXPECT_EQ(place("smartmoe", level).hosts, contiguous_placement(level).hosts);
  EXPECT_EQ(place("smartmoe", one_layer({9, 8, 2, 1}, 2, 2)).hosts[0],
            (std::vector<std::vector<GpuId>>{{GpuId{0}}, {GpuId{1}}, {GpuId{1}}, {GpuId{0}}}));
}

// One spare slot a GPU of four, and the one hottest expert: its copies fit everywhere.
TEST(Hecate, CopiesTheHottestExpertsIntoSpareSlots) {
  PlacementInput in = one_layer({1, 2, 50, 3, 4, 5, 6, 7}, 4, 3);
  Rng rng(1);
  const auto* const entry = Registry<PlacementPolicy>::instance().find("hecate");
  const Placement placement = entry->decide(in, entry->default_options(), rng);
  check_placement(placement, in);
  EXPECT_GE(placement.hosts[0][2].size(), 2u);
}

// Two layers of two experts on two GPUs with two slots in each layer; nothing is left out (top 0). The first layer's 9
// goes to GPU 0, its 1 to GPU 1; the second layer's 5 goes to GPU 1 (1 < 9), and so does its 2 (6 < 9), were GPU 1 not
// home to its half of all four experts by then: so it goes to GPU 0.
TEST(Hecate, BalancesHomesOverAllLayers) {
  PlacementInput in = one_layer({9, 1}, 2, 2);
  in.layers = 2;
  in.past_load.push_back({5, 2});
  const auto place_all = [&] {
    PolicyChoice<PlacementPolicy> choice;
    std::vector<Fault> faults;
    choice.read(parse_json(R"({"policy": "hecate", "top": 0})", "test"), Place{}, faults);
    EXPECT_TRUE(faults.empty());
    Rng rng(1);
    return choice.decide(in, rng);
  };
  EXPECT_EQ(place_all().hosts,
            (std::vector<std::vector<std::vector<GpuId>>>{{{GpuId{0}}, {GpuId{1}}}, {{GpuId{1}}, {GpuId{0}}}}));
}

}  // namespace
}  // namespace moesim
