#include "sim/core/units.h"

#include <gtest/gtest.h>

#include <limits>

#include "sim/core/check.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

TEST(Units, LiteralsNameTheirSize) {
  EXPECT_EQ(1_s, Duration{1'000'000'000'000});
  EXPECT_EQ(1_ms, Duration{1'000'000'000});
  EXPECT_EQ(1_us, Duration{1'000'000});
  EXPECT_EQ(1_ns, Duration{1'000});
  EXPECT_EQ(2_KiB, Bytes{2048});
  EXPECT_EQ(1_GiB, Bytes{1'073'741'824});
  EXPECT_EQ(400_Gbps, 50_GBps);  // a byte has 8 bits
}

TEST(Units, TimesSubtractToADuration) {
  EXPECT_EQ(Time{30} - Time{10}, Duration{20});
  EXPECT_EQ(Time{10} + 20_ps, Time{30});
}

// 1 byte at 3 bytes/s takes 333,333,333,333.33... ps.
TEST(TransferTime, RoundsUpToAWholePicosecond) { EXPECT_EQ(transfer_time(1_B, Rate{3}), Duration{333'333'333'334}); }

// 50e9 bytes at 50e9 bytes/s take 1 s, and 80 GiB at 2^33 bytes/s take 10 s: exact, so nothing is rounded.
TEST(TransferTime, IsExactWhereItIsAWholeNumber) {
  EXPECT_EQ(transfer_time(Bytes{50'000'000'000}, 50_GBps), 1_s);
  EXPECT_EQ(transfer_time(80_GiB, Rate{8589934592.0}), 10_s);
}

TEST(TransferTime, OfNothingIsNothing) {
  EXPECT_EQ(transfer_time(0_B, 1_GBps), 0_ps);
  EXPECT_EQ(transfer_time(0_B, Rate{0}), 0_ps);
}

// The exact time is compared in long double, whose 64 bits keep size * 1e12 to 2^-64; the double of the code has three
// roundings, each of 2^-53 at most, so 4 * 2^-53 of the time bounds what it may fall short.
TEST(TransferTime, IsNeverShortAndNeverAPicosecondTooLong) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const Bytes size{int64_t(1 + rng.below(uint64_t(1) << (1 + rng.below(40))))};
    const Rate rate{1e6 + rng.uniform() * 1e12};
    const long double exact = static_cast<long double>(size.count) * 1e12L / static_cast<long double>(rate.bytes_per_s);
    const long double slack = exact * 0x4p-53L;
    const auto picoseconds = static_cast<long double>(transfer_time(size, rate).ps);
    EXPECT_GE(picoseconds, exact - slack);
    EXPECT_LT(picoseconds, exact + slack + 1);
  }
}

TEST(TransferTime, GrowsWithTheSize) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const Rate rate{1 + rng.uniform() * 1e12};
    const Bytes less{int64_t(rng.below(1 << 20))};
    const Bytes more = less + Bytes{int64_t(rng.below(1 << 20))};
    EXPECT_LE(transfer_time(less, rate), transfer_time(more, rate));
  }
}

TEST(TransferTime, RefusesWhatDoesNotFitOrHasNoMeaning) {
  EXPECT_THROW(transfer_time(1_B, Rate{0}), InternalError);
  EXPECT_THROW(transfer_time(1_B, Rate{-1}), InternalError);
  EXPECT_THROW(transfer_time(Bytes{-1}, 1_GBps), InternalError);
  EXPECT_THROW(transfer_time(Bytes{10'000'000}, Rate{1}), InternalError);  // 1e19 ps, more than 2^63
  EXPECT_THROW(transfer_time(1_B, Rate{std::numeric_limits<double>::quiet_NaN()}), InternalError);
}

// 1.5e-12 s is 1.5 ps.
TEST(DurationOfSeconds, RoundsUp) {
  EXPECT_EQ(duration_of_seconds(1.5e-12), 2_ps);
  EXPECT_EQ(duration_of_seconds(0), 0_ps);
  EXPECT_EQ(duration_of_seconds(0.25), 250_ms);
}

TEST(DurationOfSeconds, RefusesWhatDoesNotFit) {
  EXPECT_THROW(duration_of_seconds(-1e-12), InternalError);
  EXPECT_THROW(duration_of_seconds(1e7), InternalError);  // 1e19 ps
  EXPECT_THROW(duration_of_seconds(std::numeric_limits<double>::infinity()), InternalError);
}

}  // namespace
}  // namespace moesim
