// Kernels that measure nothing themselves: they hold a GPU back, empty its L2, or do nothing at all.
#include <cuda_fp8.h>

#include "validation/bench/kernels/cuda_check.h"
#include "validation/bench/timing.h"

namespace moesim::bench {
namespace {

__global__ void hold(const volatile uint32_t* released, uint32_t value) {
  unsigned long long begin = 0;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
  unsigned long long now = begin;
  // The difference wraps around, so any number of starts is fine.
  while (int(*released - value) < 0 && now - begin < 2'000'000'000ULL)
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
}

__global__ void __launch_bounds__(512) read(const uint4* words, size_t count) {
  unsigned sum = 0;
  for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += size_t(gridDim.x) * blockDim.x) {
    const uint4 word = words[i];
    sum += word.x ^ word.y ^ word.z ^ word.w;
  }
  // Never so, which the compiler cannot know: it must read.
  if (gridDim.x == 0) asm volatile("" ::"r"(sum));
}

// The bits of an e4m3 number near a normal variate: the sum of four uniform ones, that are a hash of the place.
__global__ void fill_fp8(uint8_t* x, int64_t count, float scale, uint64_t seed) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += int64_t(gridDim.x) * blockDim.x) {
    uint64_t bits = (uint64_t(i) + seed * 0x9E3779B97F4A7C15ULL) * 0xD1342543DE82EF95ULL;
    bits = (bits ^ (bits >> 29)) * 0xBF58476D1CE4E5B9ULL;
    bits ^= bits >> 32;
    const int sum = int(bits & 0xFFFF) + int(bits >> 16 & 0xFFFF) + int(bits >> 32 & 0xFFFF) + int(bits >> 48);
    const __nv_fp8_e4m3 value(scale * (float(sum) - 131070.0F) * (1.7320508F / 65536.0F));
    x[i] = value.__x;
  }
}

__global__ void nothing() {}

}  // namespace

void wait_until_released(const volatile uint32_t* released, uint32_t value, cudaStream_t stream) {
  hold<<<1, 1, 0, stream>>>(released, value);
  check_launch();
}

void read_all(const DeviceArray<uint8_t>& bytes, int sms, cudaStream_t stream) {
  if (bytes.size() < 16) return;
  read<<<unsigned(4 * sms), 512, 0, stream>>>(reinterpret_cast<const uint4*>(bytes.data()), bytes.size() / 16);
  check_launch();
}

void fill_normal_fp8(uint8_t* x, int64_t count, float scale, uint64_t seed, cudaStream_t stream) {
  if (count == 0) return;
  fill_fp8<<<4096, 256, 0, stream>>>(x, count, scale, seed);
  check_launch();
}

void empty_kernel(cudaStream_t stream) {
  nothing<<<1, 32, 0, stream>>>();
  check_launch();
}

}  // namespace moesim::bench
