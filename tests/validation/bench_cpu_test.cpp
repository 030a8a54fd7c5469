// Experts, memory and rows on the CPU, with every set of instructions that this CPU has.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "sim/core/random.h"
#include "validation/bench/cpu/expert.h"
#include "validation/bench/cpu/memory.h"

namespace moesim::bench {
namespace {

// 1 is 0x3F80, and 2^-8 is half of what its last bit is worth: of the two neighbours the even one is 1.
// 1 + 3 * 2^-8 lies between 1 + 2^-7 (odd) and 1 + 2^-6 (even).
TEST(CpuWeights, AreRoundedToTheNearestBf16) {
  EXPECT_EQ(float_to_bf16(1), 0x3F80);
  EXPECT_EQ(float_to_bf16(1 + 0x1p-8F), 0x3F80);
  EXPECT_EQ(float_to_bf16(1 + 3 * 0x1p-8F), 0x3F82);
  EXPECT_EQ(float_to_bf16(-2), 0xC000);
  EXPECT_EQ(bf16_to_float(0x3FC0), 1.5F);
}

TEST(CpuWeights, HaveMeanZeroAndAVarianceOfOneOverK) {
  for (const WeightType type : {WeightType::bfloat16, WeightType::int8, WeightType::int4}) {
    SCOPED_TRACE(name_of(type));
    constexpr int rows = 64;
    constexpr int k = 1024;
    CpuMatrix matrix = make_matrix(type, rows, k);
    fill_rows(matrix, 5, 0, rows);
    double sum = 0;
    double squares = 0;
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < k; ++column) {
        const double value = double(weight(matrix, row, column));
        sum += value;
        squares += value * value;
      }
    // int8 and int4 rows have scales of 1 to 1.375, whose mean square is 1.43; int4 is 0.5 below 0 on average (0 to 15
    // less 8), of 8 / sqrt(3) deviation.
    const double variance = squares / rows;
    EXPECT_NEAR(variance, type == WeightType::bfloat16 ? 1 : 1.43, 0.05);
    EXPECT_NEAR(sum / (rows * k) * 32, type == WeightType::int4 ? -0.129 : 0, 0.02);
  }
}

TEST(CpuExperts, AgreeWithTheReferenceForEveryTypeAndSetOfInstructions) {
  const std::vector<CpuCheck> checks = check_experts(11, 3);
  EXPECT_GE(checks.size(), 12);  // three types on four shapes, with the plain instructions at least
  for (const CpuCheck& check : checks) EXPECT_LE(check.error, check.bound) << check.kernel << ", " << check.shape;
}

// A row of ones times a row of ones is k; a token of zeros gives zeros whatever its scale.
TEST(CpuMultiply, OnesGiveKAndZerosGiveNothing) {
  constexpr int k = 256;
  CpuMatrix matrix = make_matrix(WeightType::int8, 1, k);
  std::fill_n(matrix.values.data(), k, uint8_t{1});
  matrix.scales.data()[0] = 1;
  matrix.sums.data()[0] = k;
  CpuActivations x = make_activations(2, k);
  store_row(x, 0, std::vector<float>(k, 127).data(), Form::int8);
  store_row(x, 1, std::vector<float>(k, 0).data(), Form::int8);
  for (const Instructions instructions : instructions_for(WeightType::int8)) {
    std::vector<float> out(2, -1);
    multiply(matrix, x, 0, 1, out.data(), 1, instructions);
    EXPECT_EQ(out[0], 127.0F * k) << name_of(instructions);
    EXPECT_EQ(out[1], 0) << name_of(instructions);
  }
}

TEST(Team, DealsAllOfTheWorkOnce) {
  for (const int threads : {1, 2, 5}) {
    Team team(threads);
    for (const int64_t count : {0, 1, 31, 32, 33, 1000})
      for (const int64_t block : {1, 32}) {
        int64_t next = 0;
        for (int thread = 0; thread < threads; ++thread) {
          const auto [begin, end] = team.part(thread, count, block);
          EXPECT_EQ(begin, next);
          EXPECT_TRUE(begin % block == 0 || begin == count);
          next = end;
        }
        EXPECT_EQ(next, count);
      }
  }
}

TEST(Team, WaitsForAllThreadsInBetween) {
  constexpr int threads = 3;
  Team team(threads);
  std::vector<int> first(threads, 0);
  std::vector<int> sums(threads, 0);
  for (int round = 1; round < 50; ++round) {
    team.run([&](int thread) {
      first[size_t(thread)] = round;
      team.wait();
      sums[size_t(thread)] = std::accumulate(first.begin(), first.end(), 0);
    });
    for (const int sum : sums) EXPECT_EQ(sum, threads * round);
  }
}

// 24 000 bytes are three arrays of 1000 numbers: ones, i mod 7 and halves. Of 1000 numbers i mod 7, 142 whole runs sum
// to 21 each, and the last six, 0 to 5, to 15.
TEST(CpuArrays, AreReadWhole) {
  Team team(2);
  CpuArrays arrays(24000, team);
  EXPECT_EQ(arrays.bytes(), 24000);
  EXPECT_EQ(arrays.read(team), 1000 + (142 * 21 + 15) + 500);
  arrays.triad(team);  // each of the first array becomes i mod 7 + 1.5
  EXPECT_EQ(arrays.read(team), 2 * (142 * 21 + 15) + 1500 + 500);
}

}  // namespace
}  // namespace moesim::bench
