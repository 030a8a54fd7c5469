#include <gtest/gtest.h>

#include "tests/support/bit_case.h"

namespace moesim {
namespace {

// A quarter of 4 experts is the least chosen one of each layer; of equals the first.
TEST(BitsByPopularity, LowersTheLeastChosenQuarterOfEachLayer) {
  const BitCase c{2, 4, {5, 1, 7, 9, 200, 300, 100, 100}, {}};
  EXPECT_EQ(bits_by_settings("popularity", "", c.input()), (std::vector<double>{4, 2, 4, 4, 4, 4, 2, 4}));
}

// 30 % of 5 experts are 1.5, of which one whole expert; 60 % are 3 and no rounding error less.
TEST(BitsByPopularity, RoundsThePartDown) {
  const BitCase c{1, 5, {5, 4, 3, 2, 1}, {}};
  EXPECT_EQ(bits_by_settings("popularity", R"("part": "30 %", "bits": 8, "low_bits": 3)", c.input()),
            (std::vector<double>{8, 8, 8, 8, 3}));
  EXPECT_EQ(bits_by_settings("popularity", R"("part": "60 %")", c.input()), (std::vector<double>{4, 4, 2, 2, 2}));
}

}  // namespace
}  // namespace moesim
