#include "sim/core/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "sim/core/check.h"

namespace moesim {
namespace {

// How far the mean of a sample may lie from its expectation: six standard errors, passed by chance once in 5e8 times.
double six_errors(double deviation, double samples) { return 6 * deviation / std::sqrt(samples); }

// The published C of splitmix64.c and xoshiro256starstar.c, by Blackman and Vigna, in its own words.
struct Published {
  uint64_t x;
  uint64_t s[4] = {};
  explicit Published(uint64_t seed) : x(seed) {
    for (uint64_t& word : s) {
      uint64_t z = (x += 0x9e3779b97f4a7c15);
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      word = z ^ (z >> 31);
    }
  }
  static uint64_t rotl(uint64_t value, int k) { return (value << k) | (value >> (64 - k)); }
  uint64_t next() {
    const uint64_t result = rotl(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
  }
};

// 0xE220A8397B1DCDAF is the first output of splitmix64 for seed 0, as its authors and the JDK publish it.
TEST(Splitmix64, GivesThePublishedFirstOutput) { EXPECT_EQ(splitmix64(0), 0xE220A8397B1DCDAFull); }

TEST(Rng, IsXoshiro256StarStarSeededBySplitmix64) {
  for (const uint64_t seed : {0ull, 1ull, 42ull, ~0ull}) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Published published(seed);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(rng.next(), published.next());
  }
}

TEST(Rng, GivesEachSubsystemAStreamOfItsOwn) {
  std::set<uint64_t> firsts;
  for (uint64_t seed = 0; seed < 10; ++seed)
    for (const char* subsystem : {"", "routing", "routes", "placement", "gnituor"})
      firsts.insert(Rng::stream(seed, subsystem).next());
  EXPECT_EQ(firsts.size(), 50u);
  EXPECT_EQ(Rng::stream(7, "routing").next(), Rng::stream(7, "routing").next());
}

// The mean of a uniform number is 1/2 with deviation sqrt(1/12); that of its square 1/3 with deviation sqrt(4/45).
TEST(Rng, UniformFillsTheUnitInterval) {
  Rng rng(1);
  const int samples = 200'000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < samples; ++i) {
    const double x = rng.uniform();
    ASSERT_GE(x, 0);
    ASSERT_LT(x, 1);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / samples, 0.5, six_errors(std::sqrt(1.0 / 12), samples));
  EXPECT_NEAR(squares / samples, 1.0 / 3, six_errors(std::sqrt(4.0 / 45), samples));
}

// Each of b values comes with probability p = 1 / b, so its count has deviation sqrt(samples * p * (1 - p)).
TEST(Rng, BelowDrawsEveryValueEquallyOften) {
  for (const uint64_t bound : {1u, 2u, 7u, 64u}) {
    SCOPED_TRACE(bound);
    Rng rng(bound);
    const double samples = 100'000;
    std::vector<double> count(bound, 0);
    for (int i = 0; i < int(samples); ++i) ++count.at(rng.below(bound));
    const double p = 1 / double(bound);
    for (const double c : count) EXPECT_NEAR(c / samples, p, six_errors(std::sqrt(p * (1 - p)), samples));
  }
}

// For a bound of 3 * 2^62 a remainder without rejection would draw values below 2^62 twice as often as the others:
// half of all. Unbiased, they are a third.
TEST(Rng, BelowIsUnbiasedForBoundsNear2To64) {
  Rng rng(3);
  const double samples = 100'000;
  double low = 0;
  for (int i = 0; i < int(samples); ++i) low += rng.below(uint64_t(3) << 62) < (uint64_t(1) << 62);
  EXPECT_NEAR(low / samples, 1.0 / 3, six_errors(std::sqrt(2.0 / 9), samples));
}

TEST(Rng, BetweenIncludesBothEnds) {
  Rng rng(4);
  std::set<int64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(rng.between(-2, 2));
  EXPECT_EQ(seen, (std::set<int64_t>{-2, -1, 0, 1, 2}));
  EXPECT_EQ(rng.between(5, 5), 5);
  rng.between(std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
  EXPECT_THROW(rng.between(1, 0), InternalError);
  EXPECT_THROW(rng.below(0), InternalError);
}

// Standard normal: mean 0, deviation 1; its square has mean 1 and deviation sqrt(2); beyond 1 lie 31.731 %.
TEST(Rng, NormalHasTheMomentsAndTheTailsOfTheBellCurve) {
  Rng rng(5);
  const double samples = 200'000;
  double sum = 0;
  double squares = 0;
  double beyond = 0;
  for (int i = 0; i < int(samples); ++i) {
    const double x = rng.normal();
    sum += x;
    squares += x * x;
    beyond += std::abs(x) > 1;
  }
  const double tail = std::erfc(1 / std::sqrt(2.0));
  EXPECT_NEAR(sum / samples, 0, six_errors(1, samples));
  EXPECT_NEAR(squares / samples, 1, six_errors(std::sqrt(2.0), samples));
  EXPECT_NEAR(beyond / samples, tail, six_errors(std::sqrt(tail * (1 - tail)), samples));
}

// Exponential of mean 1 and deviation 1; more than t with probability exp(-t).
TEST(Rng, ExponentialHasMeanOneAndItsTail) {
  Rng rng(6);
  const double samples = 200'000;
  double sum = 0;
  double beyond = 0;
  for (int i = 0; i < int(samples); ++i) {
    const double x = rng.exponential();
    ASSERT_GE(x, 0);
    sum += x;
    beyond += x > 2;
  }
  const double tail = std::exp(-2.0);
  EXPECT_NEAR(sum / samples, 1, six_errors(1, samples));
  EXPECT_NEAR(beyond / samples, tail, six_errors(std::sqrt(tail * (1 - tail)), samples));
}

// The median of a log-normal number is exp(mu), whatever sigma is.
TEST(Rng, LogNormalHasItsMedian) {
  Rng rng(7);
  const double samples = 100'000;
  double below = 0;
  for (int i = 0; i < int(samples); ++i) below += rng.log_normal(1.5, 0.8) < std::exp(1.5);
  EXPECT_NEAR(below / samples, 0.5, six_errors(0.5, samples));
}

TEST(Rng, ShuffleIsAPermutation) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    std::vector<int> values(rng.below(50));
    std::iota(values.begin(), values.end(), 0);
    const std::vector<int> sorted = values;
    rng.shuffle(std::span(values));
    std::sort(values.begin(), values.end());
    EXPECT_EQ(values, sorted);
  }
}

// Each of the 3! orders of three values comes with probability 1/6.
TEST(Rng, ShuffleGivesEveryOrderEquallyOften) {
  Rng rng(8);
  const double samples = 60'000;
  std::vector<double> count(27, 0);
  for (int i = 0; i < int(samples); ++i) {
    std::vector<size_t> values = {0, 1, 2};
    rng.shuffle(std::span(values));
    ++count[values[0] * 9 + values[1] * 3 + values[2]];
  }
  EXPECT_EQ(std::count(count.begin(), count.end(), 0), 21);  // 27 words of three letters, 6 of them permutations
  for (const double c : count) {
    if (c == 0) continue;
    EXPECT_NEAR(c / samples, 1.0 / 6, six_errors(std::sqrt(5.0 / 36), samples));
  }
}

TEST(AliasTable, DrawsInProportionToTheWeights) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    std::vector<double> weights(1 + rng.below(40));
    for (double& weight : weights) weight = rng.below(4) == 0 ? 0 : rng.log_normal(0, 2);
    weights[0] = 1;
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    const AliasTable table(weights);
    const double samples = 50'000;
    std::vector<double> count(weights.size(), 0);
    for (int i = 0; i < int(samples); ++i) ++count.at(table.draw(rng));
    for (size_t i = 0; i < weights.size(); ++i) {
      const double p = weights[i] / sum;
      // One count more is allowed, since six errors of a tiny probability are less than one event.
      EXPECT_NEAR(count[i] / samples, p, six_errors(std::sqrt(p * (1 - p)), samples) + (p > 0 ? 2 / samples : 0));
    }
  }
}

TEST(AliasTable, RefusesWeightsThatNameNoDistribution) {
  EXPECT_THROW(AliasTable(std::vector<double>{}), InternalError);
  EXPECT_THROW(AliasTable(std::vector<double>{0, 0}), InternalError);
  EXPECT_THROW(AliasTable(std::vector<double>{2, -1}), InternalError);
}

TEST(ZipfWeights, AreThePowersOfTheRank) {
  const std::vector<double> weights = zipf_weights(4, 1);
  EXPECT_DOUBLE_EQ(weights[0], 1);
  EXPECT_DOUBLE_EQ(weights[1], 0.5);
  EXPECT_DOUBLE_EQ(weights[3], 0.25);
  for (const double weight : zipf_weights(5, 0)) EXPECT_DOUBLE_EQ(weight, 1);
}

}  // namespace
}  // namespace moesim
