#include "sim/core/math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "sim/core/random.h"

namespace moesim {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The distance in units of the last place of the double nearest to the exact value.
long double ulps(double value, long double exact) {
  const double nearest = static_cast<double>(exact);
  const double place = std::nextafter(std::abs(nearest), kInfinity) - std::abs(nearest);
  return std::abs(static_cast<long double>(value) - exact) / static_cast<long double>(place);
}

TEST(Math, IsExactWhereTheResultIsAWholeNumber) {
  EXPECT_EQ(exact_exp(0), 1);
  EXPECT_EQ(exact_log(1), 0);
  EXPECT_EQ(exact_pow(2, 10), 1024);
  EXPECT_EQ(exact_pow(3, 4), 81);
  EXPECT_EQ(exact_pow(7, 0), 1);
  EXPECT_EQ(exact_pow(1, 123.5), 1);
  EXPECT_EQ(exact_pow(4, 0.5), 2);
}

TEST(Math, GivesTheSameBitsForManyValuesAtOnce) {
  Rng rng(1);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{7}, size_t{128}})
    for (const double spread : {1e-9, 1.0, 30.0, 800.0}) {
      std::vector<double> values(size);
      for (double& value : values) value = spread * (2 * rng.uniform() - 1);
      std::vector<double> one_by_one = values;
      for (double& value : one_by_one) value = exact_exp(value);
      exact_exp(values);
      for (size_t at = 0; at < size; ++at)
        EXPECT_EQ(std::bit_cast<uint64_t>(values[at]), std::bit_cast<uint64_t>(one_by_one[at]));
    }
  std::vector<double> limits = {-kInfinity, kInfinity, -0.0, -1e300, -745.2};
  exact_exp(limits);
  EXPECT_EQ(limits, (std::vector<double>{0, kInfinity, 1, 0, exact_exp(-745.2)}));
}

TEST(Math, FollowsTheLimits) {
  EXPECT_EQ(exact_exp(-kInfinity), 0);
  EXPECT_EQ(exact_exp(kInfinity), kInfinity);
  EXPECT_EQ(exact_exp(1000), kInfinity);
  EXPECT_EQ(exact_log(0), -kInfinity);
  EXPECT_EQ(exact_log(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(exact_log(-1)));
}

// The first bits of e = 2.B7E151628AED2A6A... and of ln 2 = 0.B17217F7D1CF79ABC9E3... (hexadecimal), rounded to 53.
TEST(Math, GivesTheWellKnownConstants) {
  EXPECT_LE(ulps(exact_exp(1), 0x2.B7E151628AED2A6Ap0L), 1);
  EXPECT_LE(ulps(exact_log(2), 0x0.B17217F7D1CF79ABCp0L), 1);
}

// SLEEF promises 1.0 ULP. long double has 11 bits more, so that its own error is less than a hundredth of one.
TEST(Math, IsWithinOneUnitInTheLastPlace) {
  if (std::numeric_limits<long double>::digits < 64) GTEST_SKIP() << "long double is no wider than double here";
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const double x = (rng.uniform() - 0.5) * 1400;
    ASSERT_LE(ulps(exact_exp(x), std::exp(static_cast<long double>(x))), 1.01L);
    const double positive = std::exp((rng.uniform() - 0.5) * 1400);
    ASSERT_LE(ulps(exact_log(positive), std::log(static_cast<long double>(positive))), 1.01L);
    const double base = std::exp((rng.uniform() - 0.5) * 20);
    const double exponent = (rng.uniform() - 0.5) * 20;
    const long double power = std::pow(static_cast<long double>(base), static_cast<long double>(exponent));
    ASSERT_LE(ulps(exact_pow(base, exponent), power), 1.01L);
  }
}

}  // namespace
}  // namespace moesim
