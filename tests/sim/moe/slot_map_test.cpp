#include "sim/moe/slot_map.h"

#include <gtest/gtest.h>

namespace moesim {
namespace {

// Expert 0 on both GPUs, 1 on the first, 2 on the second, which has a slot more than it needs.
Placement small_placement() { return {{{{GpuId{0}, GpuId{1}}, {GpuId{0}}, {GpuId{1}}}}, {}}; }

TEST(SlotMap, ListsTheExpertsOfEachGpuInOrderAndThenEmptySlots) {
  EXPECT_EQ(slot_map(small_placement(), std::vector<int32_t>{2, 3}), (SlotMap{{0, 1, 0, 2, kEmptySlot}}));
}

TEST(SlotMap, GivesThePlacementBack) {
  const std::vector<int32_t> slots = {2, 3};
  EXPECT_EQ(placement_of(slot_map(small_placement(), slots), slots, 3).hosts, small_placement().hosts);
}

// Expert 0 has load 10 and two copies: 5 each. GPU 0: 5 + 4 = 9; GPU 1: 5 + 2 = 7. Mean 8, so 9 / 8.
TEST(GpuLoads, SplitAnExpertEvenlyOverItsCopies) {
  const std::vector<int32_t> slots = {2, 3};
  const std::vector<int64_t> load = {10, 4, 2};
  const std::vector<double> loads = gpu_loads(slot_map(small_placement(), slots)[0], slots, load);
  EXPECT_EQ(loads, (std::vector<double>{9, 7}));
  EXPECT_DOUBLE_EQ(max_over_mean(loads), 1.125);
  EXPECT_EQ(max_over_mean(std::vector<double>{0, 0}), 1);
}

// 3 experts in 5 slots: the hottest may have 3 copies. Load 90 of 100 on 4 GPUs: 30 each at best, and the mean is 25.
TEST(RelaxedBound, LetsTheHottestExpertHaveEverySpareSlot) {
  EXPECT_DOUBLE_EQ(relaxed_max_over_mean(std::vector<int64_t>{90, 5, 5}, 4, 5), 1.2);
  EXPECT_DOUBLE_EQ(relaxed_max_over_mean(std::vector<int64_t>{90, 5, 5}, 4, 6), 1.0);  // 22.5 is below the mean
  EXPECT_DOUBLE_EQ(relaxed_max_over_mean(std::vector<int64_t>{0, 0, 0}, 4, 3), 1.0);
}

}  // namespace
}  // namespace moesim
