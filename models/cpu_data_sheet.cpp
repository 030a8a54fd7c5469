#include "models/cpu_data_sheet.h"

#include <algorithm>

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace moesim {
namespace {

// Of a socket's DRAM, what all its cores read: about 150 of the 204.8 GB/s of a Xeon Platinum 8380, as MoE-Lens
// measured.
constexpr double kMemoryReached = 0.73;

// What fewer cores read, measured by moesim-bench (cpu_memory) on the host of h100-sxm/moesim-bench: 10.5, 19.0, 35.7,
// 55.3 and 91.8 GB/s by 1, 2, 4, 8 and 16 threads.
constexpr double kMemoryOfOneThread = 10.5e9;
constexpr double kMemoryOfThreadsPower = 0.8;

// What a core reaches on experts' products, where many tokens share the weights.
double flop_per_s_of_core(CpuInstructions instructions) {
  switch (instructions) {
    case CpuInstructions::amx:
      return 21e12 / 64;  // kTransformers' kernel on two Xeon Gold 6454S of 32 cores, bf16
    case CpuInstructions::avx512:
      return 114e9;  // moesim-bench on the host above: 64 tokens, d 7168, f 2048, int4 weights, 8 threads in 6,207 us
    case CpuInstructions::avx2:
      return 57e9;  // vectors half as wide
  }
  CHECK(false);
}

}  // namespace

CpuParameters cpu_of_data_sheet(const CpuSpec& cpu, int32_t threads, CpuInstructions instructions) {
  CHECK(threads > 0);
  const double cores = double(std::min(threads, cpu.cores));
  const double by_cores = kMemoryOfOneThread * exact_pow(cores, kMemoryOfThreadsPower);
  const Rate memory{std::min(kMemoryReached * cpu.memory_bandwidth.bytes_per_s, by_cores)};
  CpuParameters parameters;
  parameters.threads = {{threads, memory, memory, FlopRate{cores * flop_per_s_of_core(instructions)}}};
  // The software's and not the CPU's: PyTorch's on the host of h100-sxm/pytorch.
  parameters.expert = 100_us;
  parameters.wake_up = 170_us;
  // 16 threads that read 91.8 GB/s alone read 75.6 beside a copy to the GPU (cpu_memory beside h2d_copy, as above).
  parameters.beside_copies = 1.2;
  return parameters;
}

}  // namespace moesim
