// What the attention kernels share: rows to shared memory, queries to fragments, and a softmax that goes on from tile
// to tile. A warp holds 16 rows of queries; lane l holds of rows g = l / 4 and g + 8 what mma.cuh says.
#pragma once

#include <cmath>

#include "validation/bench/kernels/kernels.h"
#include "validation/bench/kernels/mma.cuh"

namespace moesim::bench {

// What scores are multiplied with before they go into a power of two.
inline float scale_log2_of(const Attention& shape) {
  const float scale = shape.scale > 0 ? shape.scale : 1.0F / std::sqrt(float(shape.qk_dim));
  return scale * log2_e;
}

// Copies rows [begin, begin + rows) of x, `stride` elements apart, to a swizzled tile; rows from `end` on become zero.
// Eight threads copy 128 bytes of a row at a time, so that all places in the tile differ by constants.
template <int width, int rows, int threads>
__device__ inline void load_rows(bf16* tile, const bf16* x, int64_t stride, int begin, int end) {
  constexpr int rows_at_once = threads / 8;
  static_assert(rows % rows_at_once == 0 && rows_at_once % 8 == 0 && width % 64 == 0);
  const int first = int(threadIdx.x) / 8;
  const int chunk = int(threadIdx.x) % 8;
  bf16* to = tile + swizzled<width>(first, chunk);
#pragma unroll
  for (int pass = 0; pass < rows / rows_at_once; ++pass) {
    const int row = begin + first + pass * rows_at_once;
    const bf16* from = x + row * stride + chunk * 8;
#pragma unroll
    for (int column = 0; column < width; column += 64)
      copy_16(to + pass * rows_at_once * width + column, from + column, row < end);
  }
}

// Fragments of rows `row` and row + 8 of x; rows from `end` on are zero.
template <int width>
__device__ inline void load_queries(uint32_t (&fragments)[width / 16][4], const bf16* x, int64_t stride, int row,
                                    int end) {
#pragma unroll
  for (int step = 0; step < width / 16; ++step)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int mine = row + i % 2 * 8;
      const int column = step * 16 + i / 2 * 8 + int(threadIdx.x) % 4 * 2;
      fragments[step][i] = mine < end ? *reinterpret_cast<const uint32_t*>(x + mine * stride + column) : 0U;
    }
}

// The scores of 16 queries and `keys` keys of a swizzled tile, in units of log2.
template <int qk_dim, int keys>
__device__ inline void score_keys(const uint32_t (&queries)[qk_dim / 16][4], const bf16* tile, float scale_log2,
                                  float (&scores)[keys / 8][4]) {
  const int lane = int(threadIdx.x) % 32;
#pragma unroll
  for (int step = 0; step < qk_dim / 16; ++step)
#pragma unroll
    for (int pair = 0; pair < keys / 16; ++pair) {
      uint32_t b[4];
      load_fragments(b, tile + swizzled<qk_dim>(pair * 16 + lane % 8 + lane / 16 * 8, step * 2 + lane / 8 % 2));
      multiply_add(scores[pair * 2], queries[step], b[0], b[1]);
      multiply_add(scores[pair * 2 + 1], queries[step], b[2], b[3]);
    }
#pragma unroll
  for (int part = 0; part < keys / 8; ++part)
#pragma unroll
    for (int i = 0; i < 4; ++i) scores[part][i] *= scale_log2;
}

// The weighted sum of values so far. With h = 0 for row g and 1 for row g + 8.
template <int v_dim>
struct OnlineSoftmax {
  float sums[v_dim / 8][4] = {};
  float highest[2] = {-INFINITY, -INFINITY};  // score, in log2
  float total[2] = {0, 0};                    // of the weights 2^(score - highest), this lane's keys only

  // Moves the scores of `keys` keys into the sums; `values` is their swizzled tile, from its first row on.
  template <int keys>
  __device__ inline void add(float (&scores)[keys / 8][4], const bf16* values) {
    rescale<keys>(scores);
#pragma unroll
    for (int step = 0; step < keys / 16; ++step) {
      const uint32_t weights[4] = {pack(scores[step * 2][0], scores[step * 2][1]),
                                   pack(scores[step * 2][2], scores[step * 2][3]),
                                   pack(scores[step * 2 + 1][0], scores[step * 2 + 1][1]),
                                   pack(scores[step * 2 + 1][2], scores[step * 2 + 1][3])};
      const int lane = int(threadIdx.x) % 32;
#pragma unroll
      for (int pair = 0; pair < v_dim / 16; ++pair) {
        uint32_t b[4];
        load_fragments_transposed(b, values + swizzled<v_dim>(step * 16 + lane % 16, pair * 2 + lane / 16));
        multiply_add(sums[pair * 2], weights, b[0], b[1]);
        multiply_add(sums[pair * 2 + 1], weights, b[2], b[3]);
      }
    }
  }

  // Scores become weights; what was summed before is scaled to the new highest score.
  template <int keys>
  __device__ inline void rescale(float (&scores)[keys / 8][4]) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float best = highest[h];
#pragma unroll
      for (int part = 0; part < keys / 8; ++part)
        best = fmaxf(best, fmaxf(scores[part][h * 2], scores[part][h * 2 + 1]));
      best = quad_max(best);
      const float base = best == -INFINITY ? 0.0F : best;  // no key yet: all weights are 0
      const float factor = exp2_fast(highest[h] - base);
      highest[h] = best;
      total[h] *= factor;
#pragma unroll
      for (int part = 0; part < v_dim / 8; ++part) {
        sums[part][h * 2] *= factor;
        sums[part][h * 2 + 1] *= factor;
      }
#pragma unroll
      for (int part = 0; part < keys / 8; ++part)
#pragma unroll
        for (int i = h * 2; i < h * 2 + 2; ++i) {
          scores[part][i] = exp2_fast(scores[part][i] - base);
          total[h] += scores[part][i];
        }
    }
  }

  // Sums become the mean of the values. Every row must have seen a key.
  __device__ inline void finish() {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float factor = 1.0F / quad_sum(total[h]);
#pragma unroll
      for (int part = 0; part < v_dim / 8; ++part) {
        sums[part][h * 2] *= factor;
        sums[part][h * 2 + 1] *= factor;
      }
    }
  }
};

// Writes rows `row` and row + 8 where they are below `end`.
template <int width>
__device__ inline void store_rows(const float (&sums)[width / 8][4], bf16* x, int64_t stride, int row, int end) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    if (row + h * 8 >= end) continue;
    bf16* to = x + (row + h * 8) * stride + int(threadIdx.x) % 4 * 2;
#pragma unroll
    for (int part = 0; part < width / 8; ++part)
      *reinterpret_cast<uint32_t*>(to + part * 8) = pack(sums[part][h * 2], sums[part][h * 2 + 1]);
  }
}

}  // namespace moesim::bench
