// Decode attention for MLA's absorbed form: many heads share one latent key of 576 elements, whose first 512 are the
// value. A block takes 64 heads; its 8 warps are 4 groups of 16 heads times 2 halves, of the keys of a tile for the
// scores and of the value's elements for the sums. The weights go from one to the other through shared memory.
#include "validation/bench/kernels/attention_decode.cuh"
#include "validation/bench/kernels/cuda_check.h"

namespace moesim::bench {
namespace {

constexpr int qk_dim = 576;
constexpr int v_dim = 512;
constexpr int threads = 256;
constexpr int tile_keys = latent_tile_keys;
constexpr int rows = latent_rows;
constexpr int half_dim = v_dim / 2;
constexpr int weight_stride = tile_keys + 8;  // 80 bytes: eight rows fall on eight different bank groups

struct Shared {
  bf16 queries[rows * qk_dim];
  bf16 keys[2][tile_keys * qk_dim];
  bf16 weights[rows * weight_stride];
  float exchange[2][rows];
};

struct Place {
  int lane;
  int half;
  int row;  // of fragments, of the warp's 16 rows the first; this lane has row + lane / 4 and that + 8
};

__device__ inline Place place_of_thread() {
  const int warp = int(threadIdx.x) / 32;
  return {int(threadIdx.x) % 32, warp / 4, warp % 4 * 16};
}

// Scores of 16 heads and 16 keys, in units of log2; keys from `keys_valid` on count nothing.
__device__ inline void score(const Shared& shared, const bf16* keys, const Place& at, float scale_log2, int keys_valid,
                             float (&scores)[2][4]) {
  const int key = at.half * 16 + at.lane % 8 + at.lane / 16 * 8;
#pragma unroll 4
  for (int step = 0; step < qk_dim / 16; ++step) {
    uint32_t a[4];
    uint32_t b[4];
    load_fragments(a, shared.queries + swizzled<qk_dim>(at.row + at.lane % 16, step * 2 + at.lane / 16));
    load_fragments(b, keys + swizzled<qk_dim>(key, step * 2 + at.lane / 8 % 2));
    multiply_add(scores[0], a, b[0], b[1]);
    multiply_add(scores[1], a, b[2], b[3]);
  }
#pragma unroll
  for (int part = 0; part < 2; ++part)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int mine = at.half * 16 + part * 8 + at.lane % 4 * 2 + i % 2;
      scores[part][i] = mine < keys_valid ? scores[part][i] * scale_log2 : -INFINITY;
    }
}

// Both halves' x of rows row + lane / 4 and that + 8; x is the same in the four lanes of a row.
__device__ inline void exchange(Shared& shared, const Place& at, const float (&mine)[2], float (&other)[2]) {
  const int row = at.row + at.lane / 4;
  if (at.lane % 4 == 0) {
    shared.exchange[at.half][row] = mine[0];
    shared.exchange[at.half][row + 8] = mine[1];
  }
  __syncthreads();
  other[0] = shared.exchange[1 - at.half][row];
  other[1] = shared.exchange[1 - at.half][row + 8];
}

// Scores become weights in shared memory; `factors` is what earlier sums are to be multiplied with.
__device__ inline void weigh(Shared& shared, const Place& at, const float (&scores)[2][4], float (&highest)[2],
                             float (&total)[2], float (&factors)[2]) {
  float best[2];
  float other[2];
#pragma unroll
  for (int h = 0; h < 2; ++h)
    best[h] =
        quad_max(fmaxf(fmaxf(scores[0][h * 2], scores[0][h * 2 + 1]), fmaxf(scores[1][h * 2], scores[1][h * 2 + 1])));
  exchange(shared, at, best, other);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    // Finite, since the first key of every tile counts.
    const float base = fmaxf(highest[h], fmaxf(best[h], other[h]));
    factors[h] = exp2_fast(highest[h] - base);
    highest[h] = base;
    total[h] *= factors[h];
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      const float low = exp2_fast(scores[part][h * 2] - base);
      const float high = exp2_fast(scores[part][h * 2 + 1] - base);
      total[h] += low + high;
      const int column = at.half * 16 + part * 8 + at.lane % 4 * 2;
      *reinterpret_cast<uint32_t*>(shared.weights + (at.row + at.lane / 4 + h * 8) * weight_stride + column) =
          pack(low, high);
    }
  }
}

__device__ inline void add_values(const Shared& shared, const bf16* keys, const Place& at, const float (&factors)[2],
                                  float (&sums)[half_dim / 8][4]) {
#pragma unroll
  for (int part = 0; part < half_dim / 8; ++part)
#pragma unroll
    for (int i = 0; i < 4; ++i) sums[part][i] *= factors[i / 2];
#pragma unroll
  for (int step = 0; step < tile_keys / 16; ++step) {
    uint32_t a[4];
    load_fragments(a, shared.weights + (at.row + at.lane % 16) * weight_stride + step * 16 + at.lane / 16 * 8);
#pragma unroll
    for (int pair = 0; pair < half_dim / 16; ++pair) {
      uint32_t b[4];
      load_fragments_transposed(
          b, keys + swizzled<qk_dim>(step * 16 + at.lane % 16, at.half * (half_dim / 8) + pair * 2 + at.lane / 16));
      multiply_add(sums[pair * 2], a, b[0], b[1]);
      multiply_add(sums[pair * 2 + 1], a, b[2], b[3]);
    }
  }
}

// `first` is the row of the block's first head in `partial`; heads are `splits` rows apart.
__device__ inline void store(Shared& shared, const Place& at, const Partial& partial, int64_t first, int splits,
                             int heads, const float (&highest)[2], float (&total)[2],
                             const float (&sums)[half_dim / 8][4]) {
  float other[2];
  total[0] = quad_sum(total[0]);
  total[1] = quad_sum(total[1]);
  exchange(shared, at, total, other);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int head = at.row + at.lane / 4 + h * 8;
    if (head >= heads) continue;
    const int64_t row = first + int64_t(head) * splits;
    if (at.half == 0 && at.lane % 4 == 0) partial.stats[row] = make_float2(highest[h], total[h] + other[h]);
    float* to = partial.sums + row * v_dim + at.half * half_dim + at.lane % 4 * 2;
#pragma unroll
    for (int part = 0; part < half_dim / 8; ++part)
      *reinterpret_cast<float2*>(to + part * 8) = make_float2(sums[part][h * 2], sums[part][h * 2 + 1]);
  }
}

__global__ void __launch_bounds__(threads, 1)
    attend(const bf16* __restrict__ queries, const bf16* __restrict__ keys, Attention shape, DecodePlan plan,
           float scale_log2, Partial partial) {
  extern __shared__ __align__(128) unsigned char shared_memory[];
  Shared& shared = *reinterpret_cast<Shared*>(shared_memory);
  const Place at = place_of_thread();
  const int share = shape.heads / shape.kv_heads;
  const int kv_head = int(blockIdx.x) / plan.row_blocks;
  const int first_row = int(blockIdx.x) % plan.row_blocks * rows;
  const int split = int(blockIdx.y);
  const int64_t sequence = blockIdx.z;
  const int64_t first_head = sequence * shape.heads + kv_head * share + first_row;
  const int key_begin = split * plan.split_keys;
  const int key_end = min(key_begin + plan.split_keys, shape.kv);
  const bf16* k = keys + (sequence * shape.kv * shape.kv_heads + kv_head) * qk_dim;
  const auto load = [&](int tile) {
    load_rows<qk_dim, tile_keys, threads>(shared.keys[tile % 2], k, int64_t(shape.kv_heads) * qk_dim,
                                          key_begin + tile * tile_keys, key_end);
    commit_copies();
  };
  load_rows<qk_dim, rows, threads>(shared.queries, queries + first_head * qk_dim, qk_dim, 0, share - first_row);
  load(0);

  float sums[half_dim / 8][4] = {};
  float highest[2] = {-INFINITY, -INFINITY};
  float total[2] = {0, 0};
  const int tiles = (key_end - key_begin + tile_keys - 1) / tile_keys;
  for (int tile = 0; tile < tiles; ++tile) {
    wait_for_copies<0>();
    __syncthreads();  // the tile has landed for all, and all are done with keys, weights and exchange of the last one
    if (tile + 1 < tiles) load(tile + 1);
    float scores[2][4] = {};
    float factors[2];
    score(shared, shared.keys[tile % 2], at, scale_log2, key_end - key_begin - tile * tile_keys, scores);
    weigh(shared, at, scores, highest, total, factors);
    __syncthreads();
    add_values(shared, shared.keys[tile % 2], at, factors, sums);
  }
  store(shared, at, partial, first_head * plan.splits + split, plan.splits, share - first_row, highest, total, sums);
}

}  // namespace

void attention_decode_latent(const bf16* queries, const bf16* keys, const Attention& shape, const DecodePlan& plan,
                             const Partial& partial, cudaStream_t stream) {
  check_cuda(cudaFuncSetAttribute(attend, cudaFuncAttributeMaxDynamicSharedMemorySize, int(sizeof(Shared))));
  const dim3 grid{unsigned(shape.kv_heads * plan.row_blocks), unsigned(plan.splits), unsigned(shape.batch)};
  attend<<<grid, threads, sizeof(Shared), stream>>>(queries, keys, shape, plan, scale_log2_of(shape), partial);
  check_launch();
}

}  // namespace moesim::bench
