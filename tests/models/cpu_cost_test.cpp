#include "models/cpu_cost.h"

#include <gtest/gtest.h>

namespace moesim {
namespace {

CpuParameters sixteen_threads() {
  CpuParameters cpu;
  cpu.threads = {{16, 40_GBps, 80_GBps, FlopRate{2e12}}};
  return cpu;
}

// A quarter of the threads: 4^0.9 = 3.4822 and 4^0.4 = 1.7411 times less. More threads reach what sixteen do.
TEST(CpuThreads, OfOneMeasuredNumberFollowKnownPowersAndGoNoFurther) {
  const CpuThreadsParameters four = cpu_threads(sixteen_threads(), 4);
  EXPECT_NEAR(four.memory.bytes_per_s, 40e9 / 3.482202, 1e4);
  EXPECT_NEAR(four.cache.bytes_per_s, 80e9 / 1.741101, 1e5);
  EXPECT_NEAR(four.compute.flop_per_s, 2e12 / 1.741101, 1e6);
  EXPECT_EQ(cpu_threads(sixteen_threads(), 32).memory.bytes_per_s, 40e9);
}

// Weights of 60 MB at 40 GB/s take 1.5 ms in bf16, half of it in int8, a quarter in int4.
TEST(CpuExperts, ReadAsManyBytesAsTheirWeightsHave) {
  CpuParameters cpu = sixteen_threads();
  cpu.threads.front().compute = FlopRate{1e18};
  const auto seconds = [&](Precision weights) {
    return cpu_experts_time(cpu, {1, 1000, 10000, 1, 16, weights}).seconds();
  };
  EXPECT_NEAR(seconds(Precision::bf16), 1.5e-3, 1e-9);
  EXPECT_NEAR(seconds(Precision::int8), 0.75e-3, 1e-9);
  EXPECT_NEAR(seconds(Precision::int4), 0.375e-3, 1e-9);
}

// 80 us beside 16 threads; by the root, 40 us beside 4.
TEST(IssueOfAnExpert, TakesLongerWhereMoreThreadsCompute) {
  HostParameters host;
  host.issue_expert = 80_us;
  EXPECT_EQ(issue_expert_time(host, sixteen_threads(), 4), 80_us);
  host.issue_expert_power = 0.5;
  EXPECT_EQ(issue_expert_time(host, sixteen_threads(), 16), 80_us);
  EXPECT_NEAR(issue_expert_time(host, sixteen_threads(), 4).seconds(), 40e-6, 1e-11);
  EXPECT_EQ(issue_expert_time(host, CpuParameters{}, 4), 80_us);
}

}  // namespace
}  // namespace moesim
