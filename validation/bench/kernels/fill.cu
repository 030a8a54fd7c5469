// Fills device memory: random numbers that are a hash of their place, so that they cost no copy and no state.
#include "sim/core/check.h"
#include "validation/bench/kernels/cuda_check.h"
#include "validation/bench/kernels/kernels.h"

namespace moesim::bench {
namespace {

constexpr int threads = 256;
constexpr int64_t blocks_max = 4096;

// The output function of SplitMix64 (Steele, Lea, Flood 2014).
__device__ inline uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

// Four uniform numbers of 16 bits: their sum has variance 4 / 12 of 2^32, nearly.
__device__ inline float nearly_normal(uint64_t seed, int64_t index) {
  const uint64_t bits = mix(mix(seed + 0x9E3779B97F4A7C15ULL) + uint64_t(index) * 0x9E3779B97F4A7C15ULL);
  const int sum = int(bits & 0xFFFF) + int(bits >> 16 & 0xFFFF) + int(bits >> 32 & 0xFFFF) + int(bits >> 48);
  return (float(sum) - 131070.0F) * (1.7320508F / 65536.0F);
}

template <class T>
__global__ void __launch_bounds__(threads) fill(T* x, int64_t count, float scale, uint64_t seed) {
  for (int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x; i < count; i += int64_t(gridDim.x) * threads)
    x[i] = T(scale * nearly_normal(seed, i));
}

template <class T>
void launch(T* x, int64_t count, float scale, uint64_t seed, cudaStream_t stream) {
  CHECK(count >= 0);
  if (count == 0) return;
  const int64_t blocks = (count + threads - 1) / threads;
  fill<<<unsigned(blocks < blocks_max ? blocks : blocks_max), threads, 0, stream>>>(x, count, scale, seed);
  check_launch();
}

}  // namespace

void fill_normal(bf16* x, int64_t count, float scale, uint64_t seed, cudaStream_t stream) {
  launch(x, count, scale, seed, stream);
}

void fill_normal(float* x, int64_t count, float scale, uint64_t seed, cudaStream_t stream) {
  launch(x, count, scale, seed, stream);
}

void fill_poison(void* x, size_t bytes, cudaStream_t stream) {
  if (bytes > 0) check_cuda(cudaMemsetAsync(x, 0xFF, bytes, stream));
}

}  // namespace moesim::bench
