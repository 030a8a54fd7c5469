#include "models/cpu_data_sheet.h"

#include <gtest/gtest.h>

#include "models/cpu_cost.h"

namespace moesim {
namespace {

CpuSpec socket_of(int32_t cores, double memory_gbps) {
  CpuSpec cpu;
  cpu.cores = cores;
  cpu.memory_bandwidth = Rate{memory_gbps * 1e9};
  return cpu;
}

// One thread reads 10.5 GB/s; 32 read 2^(5 x 0.8) = 16 times that, 168 GB/s, which is below 0.73 x 307.2 = 224.3 GB/s.
// Of 204.8 GB/s they get 149.5.
TEST(CpuOfDataSheet, ReadsWhatItsThreadsOrItsMemoryGive) {
  const auto memory = [](double memory_gbps, int32_t threads) {
    return cpu_of_data_sheet(socket_of(32, memory_gbps), threads, CpuInstructions::amx).threads.front().memory;
  };
  EXPECT_NEAR(memory(307.2, 1).bytes_per_s, 10.5e9, 1);
  EXPECT_NEAR(memory(307.2, 32).bytes_per_s, 168e9, 1e3);
  EXPECT_NEAR(memory(204.8, 32).bytes_per_s, 149.504e9, 1e3);
}

// Half of the two sockets that reached 21 Tflop/s; no more threads compute than there are cores.
TEST(CpuOfDataSheet, ComputesByItsCoresAndTheirInstructions) {
  const auto compute = [](int32_t threads, CpuInstructions instructions) {
    return cpu_of_data_sheet(socket_of(32, 307.2), threads, instructions).threads.front().compute.flop_per_s;
  };
  EXPECT_NEAR(compute(32, CpuInstructions::amx), 10.5e12, 1e3);
  EXPECT_EQ(compute(64, CpuInstructions::amx), compute(32, CpuInstructions::amx));
  EXPECT_NEAR(compute(8, CpuInstructions::avx512), 0.912e12, 1);
  EXPECT_NEAR(compute(8, CpuInstructions::avx2), 0.456e12, 1);
}

// 3 x 4,000 x 14,000 weights are 336 MB in bf16, 84 MB in int4: 2 ms and 0.5 ms at 168 GB/s, beside 0.1 ms an expert.
// One token's products, 0.336 Gflop at 10.5 Tflop/s, are nothing in the fourth norm.
TEST(CpuOfDataSheet, ReadsFewerBytesOfNarrowWeights) {
  const CpuParameters cpu = cpu_of_data_sheet(socket_of(32, 307.2), 32, CpuInstructions::amx);
  const auto seconds = [&](Precision weights) {
    return cpu_experts_time(cpu, {1, 4000, 14000, 1, 32, weights}).seconds();
  };
  EXPECT_NEAR(seconds(Precision::bf16), 2.1e-3, 1e-8);
  EXPECT_NEAR(seconds(Precision::int8), 1.1e-3, 1e-8);
  EXPECT_NEAR(seconds(Precision::int4), 0.6e-3, 1e-8);
}

}  // namespace
}  // namespace moesim
