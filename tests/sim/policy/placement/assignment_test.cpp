#include "sim/policy/placement/assignment.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/core/random.h"

namespace moesim {
namespace {

// By trying all.
double least_cost(const std::vector<double>& cost, std::vector<int32_t>& room, size_t item) {
  if (item * room.size() == cost.size()) return 0;
  double least = 1e300;
  for (size_t place = 0; place < room.size(); ++place) {
    if (room[place] == 0) continue;
    --room[place];
    least = std::min(least, cost[item * room.size() + place] + least_cost(cost, room, item + 1));
    ++room[place];
  }
  return least;
}

TEST(CheapestAssignment, IsTheBestOfAllThatFit) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    std::vector<int32_t> room(size_t(rng.between(1, 4)));
    int32_t fits = 0;
    for (int32_t& places : room) fits += places = int32_t(rng.between(0, 3));
    if (fits == 0) continue;
    std::vector<double> cost;
    for (size_t i = 0; i < size_t(std::min(fits, 7)) * room.size(); ++i) cost.push_back(double(rng.below(20)));
    const std::vector<size_t> place_of = cheapest_assignment(cost, room);
    std::vector<int32_t> left = room;
    double sum = 0;
    for (size_t item = 0; item < place_of.size(); ++item) {
      sum += cost[item * room.size() + place_of[item]];
      EXPECT_GE(--left[place_of[item]], 0);
    }
    EXPECT_DOUBLE_EQ(sum, least_cost(cost, room, 0));
  }
}

}  // namespace
}  // namespace moesim
