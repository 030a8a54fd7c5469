#include "sim/moe/placement.h"

#include <gtest/gtest.h>

#include "sim/core/check.h"
#include "sim/moe/slot_map.h"

namespace moesim {
namespace {

// Three experts, two GPUs with two and three slots.
PlacementInput uneven() {
  PlacementInput in;
  in.layers = 1;
  in.experts = 3;
  in.gpus = 2;
  in.slots = {2, 3};
  return in;
}

constexpr GpuId kFirst{0};
constexpr GpuId kSecond{1};

TEST(CheckPlacement, TakesSeveralCopiesOnOneGpuAsSeveralSlots) {
  const PlacementInput in = uneven();
  EXPECT_NO_THROW(check_placement({{{{kSecond, kSecond}, {kFirst}, {kSecond}}}, {}}, in));
  EXPECT_THROW(check_placement({{{{kFirst, kFirst}, {kFirst}, {kSecond}}}, {}}, in), InternalError);
}

TEST(CheckPlacement, RefusesExpertsWithoutAHostAndHostsOutOfRange) {
  const PlacementInput in = uneven();
  EXPECT_THROW(check_placement({{{{}, {kFirst}, {kSecond}}}, {}}, in), InternalError);
  EXPECT_THROW(check_placement({{{{GpuId{2}}, {kFirst}, {kSecond}}}, {}}, in), InternalError);
}

TEST(CheckPlacement, HoldsSlotsToTheHosts) {
  const PlacementInput in = uneven();
  Placement placement{{{{kFirst, kSecond}, {kFirst}, {kSecond}}}, {{1, 0, 2, kEmptySlot, 0}}};
  EXPECT_NO_THROW(check_placement(placement, in));
  placement.physical_to_logical = {{1, 0, 2, 0, 0}};  // one copy more than the hosts say
  EXPECT_THROW(check_placement(placement, in), InternalError);
  placement.physical_to_logical = {{1, 0, 2, 0}};  // a slot too few
  EXPECT_THROW(check_placement(placement, in), InternalError);
}

TEST(PhysicalToLogical, ListsTheExpertsOfEachGpuInOrderAndThenItsEmptySlots) {
  const Placement placement{{{{kFirst, kSecond}, {kSecond}, {kFirst}}}, {}};
  EXPECT_EQ(slot_map(placement, slots_of_gpus(uneven())),
            (std::vector<std::vector<int32_t>>{{0, 2, 0, 1, kEmptySlot}}));
}

TEST(PhysicalToLogical, IsWhatThePlacementFixes) {
  const Placement placement = placement_of({{2, 0, 1, kEmptySlot, 0}}, slots_of_gpus(uneven()), uneven().experts);
  EXPECT_EQ(placement.hosts, (std::vector<std::vector<std::vector<GpuId>>>{{{kFirst, kSecond}, {kSecond}, {kFirst}}}));
  EXPECT_EQ(slot_map(placement, slots_of_gpus(uneven())),
            (std::vector<std::vector<int32_t>>{{2, 0, 1, kEmptySlot, 0}}));
}

// Five slots for three experts: floor(e * 5 / 3) = 0, 1, 3 are the slots, and the first two of them GPU 0's.
TEST(ContiguousGpus, GivesEachGpuAShareByItsSlots) {
  EXPECT_EQ(contiguous_gpus(uneven()), (std::vector<GpuId>{kFirst, kFirst, kSecond}));
}

}  // namespace
}  // namespace moesim
