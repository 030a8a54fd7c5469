// Kernels that go row by row and are bound by memory: gather, unpermute, SwiGLU, RMSNorm. One block a row; every access
// to a row is of 16 bytes a thread.
#include "sim/core/check.h"
#include "validation/bench/kernels/cuda_check.h"
#include "validation/bench/kernels/kernels.h"

namespace moesim::bench {
namespace {

constexpr int threads_max = 256;
constexpr int k_max = 16;
constexpr int norm_width_max = 16384;

// Eight elements, moved at once: as uint4, since a copy of the struct would be one of each member.
struct Eight {
  __nv_bfloat162 pairs[4];
};

__device__ inline __nv_bfloat162 pair_of(uint32_t word) { return *reinterpret_cast<const __nv_bfloat162*>(&word); }
__device__ inline uint32_t word_of(__nv_bfloat162 pair) { return *reinterpret_cast<const uint32_t*>(&pair); }

__device__ inline Eight load(const bf16* x, int64_t piece) {
  const uint4 words = reinterpret_cast<const uint4*>(x)[piece];
  return {{pair_of(words.x), pair_of(words.y), pair_of(words.z), pair_of(words.w)}};
}
__device__ inline void store(bf16* x, int64_t piece, const Eight& eight) {
  reinterpret_cast<uint4*>(x)[piece] =
      make_uint4(word_of(eight.pairs[0]), word_of(eight.pairs[1]), word_of(eight.pairs[2]), word_of(eight.pairs[3]));
}

// Threads for a row of this many pieces: whole warps, no more than useful.
unsigned threads_for(int pieces) { return unsigned(pieces >= threads_max ? threads_max : (pieces + 31) / 32 * 32); }

__global__ void __launch_bounds__(threads_max)
    gather(const bf16* __restrict__ x, const int32_t* __restrict__ source_of_row, int pieces, bf16* __restrict__ out) {
  const uint4* from = reinterpret_cast<const uint4*>(x) + int64_t(source_of_row[blockIdx.x]) * pieces;
  uint4* to = reinterpret_cast<uint4*>(out) + int64_t(blockIdx.x) * pieces;
#pragma unroll 4
  for (int i = int(threadIdx.x); i < pieces; i += int(blockDim.x)) to[i] = from[i];
}

__global__ void __launch_bounds__(threads_max)
    add_weighted(const bf16* __restrict__ results, const int32_t* __restrict__ slot_of_choice,
                 const float* __restrict__ weights, int k, int pieces, bf16* __restrict__ out) {
  const int64_t token = blockIdx.x;
  for (int i = int(threadIdx.x); i < pieces; i += int(blockDim.x)) {
    float2 sums[4] = {};
#pragma unroll 4
    for (int j = 0; j < k; ++j) {
      const float weight = weights[token * k + j];
      const Eight row = load(results, int64_t(slot_of_choice[token * k + j]) * pieces + i);
#pragma unroll
      for (int pair = 0; pair < 4; ++pair) {
        const float2 values = __bfloat1622float2(row.pairs[pair]);
        sums[pair].x += weight * values.x;
        sums[pair].y += weight * values.y;
      }
    }
    Eight sum;
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) sum.pairs[pair] = __float22bfloat162_rn(sums[pair]);
    store(out, token * pieces + i, sum);
  }
}

__device__ inline float silu(float x) { return x / (1.0F + __expf(-x)); }

__global__ void __launch_bounds__(threads_max)
    gate_linear_units(const bf16* __restrict__ x, int pieces, bf16* __restrict__ out) {
  const int64_t gates = int64_t(blockIdx.x) * 2 * pieces;
#pragma unroll 2
  for (int i = int(threadIdx.x); i < pieces; i += int(blockDim.x)) {
    const Eight gate = load(x, gates + i);
    const Eight up = load(x, gates + pieces + i);
    Eight product;
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      const float2 g = __bfloat1622float2(gate.pairs[pair]);
      const float2 u = __bfloat1622float2(up.pairs[pair]);
      product.pairs[pair] = __floats2bfloat162_rn(silu(g.x) * u.x, silu(g.y) * u.y);
    }
    store(out, int64_t(blockIdx.x) * pieces + i, product);
  }
}

// The sum over the block, for every thread; `partial` has room for one number a warp.
__device__ inline float block_sum(float x, float* partial) {
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xFFFFFFFFU, x, step);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
  for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) sum += partial[warp];
  return sum;
}

// The row stays in registers between the two passes, at most `kept` pieces a thread.
template <int kept>
__global__ void __launch_bounds__(threads_max) normalise(const bf16* __restrict__ x, const bf16* __restrict__ gain,
                                                         int pieces, float epsilon, bf16* __restrict__ out) {
  __shared__ float partial[threads_max / 32];
  Eight row[kept];
  float squares = 0;
#pragma unroll
  for (int part = 0; part < kept; ++part) {
    const int i = int(threadIdx.x + unsigned(part) * blockDim.x);
    if (i >= pieces) continue;
    row[part] = load(x, int64_t(blockIdx.x) * pieces + i);
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      const float2 values = __bfloat1622float2(row[part].pairs[pair]);
      squares += values.x * values.x + values.y * values.y;
    }
  }
  const float factor = rsqrtf(block_sum(squares, partial) / (8.0F * float(pieces)) + epsilon);
#pragma unroll
  for (int part = 0; part < kept; ++part) {
    const int i = int(threadIdx.x + unsigned(part) * blockDim.x);
    if (i >= pieces) continue;
    const Eight gains = load(gain, i);
    Eight normal;
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      const float2 values = __bfloat1622float2(row[part].pairs[pair]);
      const float2 g = __bfloat1622float2(gains.pairs[pair]);
      normal.pairs[pair] = __floats2bfloat162_rn(values.x * factor * g.x, values.y * factor * g.y);
    }
    store(out, int64_t(blockIdx.x) * pieces + i, normal);
  }
}

}  // namespace

void gather_rows(const bf16* x, const int32_t* source_of_row, int rows, int width, bf16* out, cudaStream_t stream) {
  CHECK(rows >= 0);
  CHECK(width > 0 && width % 8 == 0);
  if (rows == 0) return;
  gather<<<unsigned(rows), threads_for(width / 8), 0, stream>>>(x, source_of_row, width / 8, out);
  check_launch();
}

void unpermute(const bf16* results, const int32_t* slot_of_choice, const float* weights, int tokens, int k, int width,
               bf16* out, cudaStream_t stream) {
  CHECK(tokens >= 0);
  CHECK(k > 0 && k <= k_max);
  CHECK(width > 0 && width % 8 == 0);
  if (tokens == 0) return;
  add_weighted<<<unsigned(tokens), threads_for(width / 8), 0, stream>>>(results, slot_of_choice, weights, k, width / 8,
                                                                        out);
  check_launch();
}

void swiglu(const bf16* x, int rows, int f, bf16* out, cudaStream_t stream) {
  CHECK(rows >= 0);
  CHECK(f > 0 && f % 8 == 0);
  if (rows == 0) return;
  gate_linear_units<<<unsigned(rows), threads_for(f / 8), 0, stream>>>(x, f / 8, out);
  check_launch();
}

void rms_norm(const bf16* x, const bf16* gain, int rows, int width, float epsilon, bf16* out, cudaStream_t stream) {
  CHECK(rows >= 0);
  CHECK(width > 0 && width % 8 == 0 && width <= norm_width_max);
  if (rows == 0) return;
  const int pieces = width / 8;
  const unsigned blocks = unsigned(rows);
  const unsigned threads = threads_for(pieces);
  if (pieces <= threads_max)
    normalise<1><<<blocks, threads, 0, stream>>>(x, gain, pieces, epsilon, out);
  else if (pieces <= 4 * threads_max)
    normalise<4><<<blocks, threads, 0, stream>>>(x, gain, pieces, epsilon, out);
  else
    normalise<norm_width_max / 8 / threads_max><<<blocks, threads, 0, stream>>>(x, gain, pieces, epsilon, out);
  check_launch();
}

}  // namespace moesim::bench
