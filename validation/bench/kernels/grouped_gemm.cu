// Grouped GEMM of our own, the reference that a library's kernel is measured beside. Persistent blocks walk over the
// tiles of all groups; which tile belongs to which group is worked out on the device, from the offsets.
#include "sim/core/check.h"
#include "validation/bench/kernels/cuda_check.h"
#include "validation/bench/kernels/kernels.h"
#include "validation/bench/kernels/mma.cuh"

namespace moesim::bench {
namespace {

constexpr int groups_max = 1024;
constexpr int tile_columns = 128;
constexpr int tile_depth = 32;
constexpr int stages = 4;
constexpr int threads = 128;  // 2 x 2 warps, each with half of the rows and of the columns of a tile
constexpr int blocks_per_sm = 2;
// Tiles of this many row tiles go through all columns before the next rows, so that a wave of tiles is about square
// and its operands stay in the L2 cache.
constexpr int row_tiles_together = 16;

template <int tile_rows>
constexpr int stage_elements = (tile_rows + tile_columns) * tile_depth;
template <int tile_rows>
constexpr int shared_bytes = stages * stage_elements<tile_rows> * int(sizeof(bf16));

struct Tile {
  int group;
  int row_begin;
  int row_end;  // of the group
  int column_begin;
};

// Rows of 64 bytes: two rows fill the 32 banks, so the swizzle changes every second row.
__device__ inline int place(int row, int chunk) { return row * tile_depth + ((chunk ^ ((row >> 1) & 3)) * 8); }

// first_row_tile [groups + 1] becomes the exclusive sum of the row tiles of each group.
template <int tile_rows>
__device__ void count_row_tiles(const int32_t* offsets, int groups, int32_t* first_row_tile) {
  for (int group = threadIdx.x; group < groups; group += threads)
    first_row_tile[group] = (offsets[group + 1] - offsets[group] + tile_rows - 1) / tile_rows;
  __syncthreads();
  if (threadIdx.x < 32) {
    const int lane = int(threadIdx.x);
    int before = 0;
    for (int begin = 0; begin < groups; begin += 32) {
      const int count = begin + lane < groups ? first_row_tile[begin + lane] : 0;
      int sum = count;
      for (int step = 1; step < 32; step *= 2) {
        const int other = __shfl_up_sync(all_lanes, sum, step);
        if (lane >= step) sum += other;
      }
      if (begin + lane < groups) first_row_tile[begin + lane] = before + sum - count;
      before += __shfl_sync(all_lanes, sum, 31);
    }
    if (lane == 0) first_row_tile[groups] = before;
  }
  __syncthreads();
}

// The last group that begins at or before the row tile; so never an empty one.
__device__ inline int group_of(const int32_t* first_row_tile, int groups, int row_tile) {
  int low = 0;
  int high = groups;  // first_row_tile[low] <= row_tile < first_row_tile[high]
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (first_row_tile[middle] <= row_tile)
      low = middle;
    else
      high = middle;
  }
  return low;
}

template <int tile_rows>
__device__ Tile tile_at(int index, const int32_t* offsets, const int32_t* first_row_tile, int groups, int n) {
  const int column_tiles = (n + tile_columns - 1) / tile_columns;
  const int group = group_of(first_row_tile, groups, index / column_tiles);
  const int row_tiles = first_row_tile[group + 1] - first_row_tile[group];
  const int in_group = index - first_row_tile[group] * column_tiles;
  const int strip = in_group / (row_tiles_together * column_tiles);
  const int in_strip = in_group - strip * row_tiles_together * column_tiles;
  const int strip_tiles = min(row_tiles_together, row_tiles - strip * row_tiles_together);
  const int row_tile = strip * row_tiles_together + in_strip % strip_tiles;
  return {group, offsets[group] + row_tile * tile_rows, offsets[group + 1], in_strip / strip_tiles * tile_columns};
}

// Four threads copy the 64 bytes of a row, so each pass of the block copies 32 rows.
template <int tile_rows>
__device__ inline void load_stage(bf16* stage, const bf16* a, const bf16* w, int rows_valid, int columns_valid,
                                  int depth, int k) {
  const int row = int(threadIdx.x) / 4;
  const int chunk = int(threadIdx.x) % 4;
  const int64_t from = int64_t(row) * k + depth * tile_depth + chunk * 8;
#pragma unroll
  for (int pass = 0; pass < tile_rows / 32; ++pass)
    copy_16(stage + place(row + pass * 32, chunk), a + from + int64_t(pass) * 32 * k, row + pass * 32 < rows_valid);
#pragma unroll
  for (int pass = 0; pass < tile_columns / 32; ++pass)
    copy_16(stage + tile_rows * tile_depth + place(row + pass * 32, chunk), w + from + int64_t(pass) * 32 * k,
            row + pass * 32 < columns_valid);
}

// Adds one stage's product to this warp's part of the tile: m x n fragments of 16 x 8.
template <int tile_rows, int m, int n>
__device__ inline void multiply_stage(const bf16* stage, float (&sums)[m][n][4]) {
  const int lane = int(threadIdx.x) % 32;
  const int warp = int(threadIdx.x) / 32;
  const int row = warp / 2 * (m * 16) + lane % 16;
  const int column = warp % 2 * (n * 8) + lane % 8 + lane / 16 * 8;
  const bf16* stage_w = stage + tile_rows * tile_depth;
#pragma unroll
  for (int step = 0; step < tile_depth / 16; ++step) {
    uint32_t a[m][4];
    uint32_t b[n / 2][4];
#pragma unroll
    for (int i = 0; i < m; ++i) load_fragments(a[i], stage + place(row + i * 16, step * 2 + lane / 16));
#pragma unroll
    for (int j = 0; j < n / 2; ++j) load_fragments(b[j], stage_w + place(column + j * 16, step * 2 + lane / 8 % 2));
#pragma unroll
    for (int i = 0; i < m; ++i)
#pragma unroll
      for (int j = 0; j < n; ++j) multiply_add(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
  }
}

template <int m, int n>
__device__ inline void store_tile(bf16* c, const Tile& tile, int columns, const float (&sums)[m][n][4]) {
  const int lane = int(threadIdx.x) % 32;
  const int warp = int(threadIdx.x) / 32;
  const int row_begin = tile.row_begin + warp / 2 * (m * 16) + lane / 4;
  const int column_begin = tile.column_begin + warp % 2 * (n * 8) + lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < m; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = row_begin + i * 16 + half * 8;
      if (row >= tile.row_end) continue;
#pragma unroll
      for (int j = 0; j < n; ++j)
        if (column_begin + j * 8 < columns)
          *reinterpret_cast<uint32_t*>(c + int64_t(row) * columns + column_begin + j * 8) =
              pack(sums[i][j][half * 2], sums[i][j][half * 2 + 1]);
    }
}

template <int tile_rows>
__global__ void __launch_bounds__(threads, blocks_per_sm)
    multiply_groups(const bf16* __restrict__ a, const bf16* __restrict__ w, const int32_t* __restrict__ offsets,
                    GroupedGemm shape, bf16* __restrict__ c) {
  constexpr int m = tile_rows / 32;
  constexpr int n = tile_columns / 16;
  constexpr int stage_size = stage_elements<tile_rows>;
  extern __shared__ __align__(128) unsigned char shared_memory[];
  bf16* staged = reinterpret_cast<bf16*>(shared_memory);
  __shared__ int32_t first_row_tile[groups_max + 1];
  count_row_tiles<tile_rows>(offsets, shape.groups, first_row_tile);

  const int tiles = first_row_tile[shape.groups] * ((shape.n + tile_columns - 1) / tile_columns);
  const int depths = shape.k / tile_depth;
  for (int index = int(blockIdx.x); index < tiles; index += int(gridDim.x)) {
    const Tile tile = tile_at<tile_rows>(index, offsets, first_row_tile, shape.groups, shape.n);
    const bf16* tile_a = a + int64_t(tile.row_begin) * shape.k;
    const bf16* tile_w = w + (int64_t(tile.group) * shape.n + tile.column_begin) * shape.k;
    const int rows_valid = tile.row_end - tile.row_begin;
    const int columns_valid = shape.n - tile.column_begin;

    float sums[m][n][4] = {};
    for (int depth = 0; depth < stages - 1; ++depth) {
      if (depth < depths)
        load_stage<tile_rows>(staged + depth * stage_size, tile_a, tile_w, rows_valid, columns_valid, depth, shape.k);
      commit_copies();
    }
    for (int depth = 0; depth < depths; ++depth) {
      wait_for_copies<stages - 2>();
      __syncthreads();  // this stage has landed for all, and all are done with the one that is now overwritten
      const int next = depth + stages - 1;
      if (next < depths)
        load_stage<tile_rows>(staged + next % stages * stage_size, tile_a, tile_w, rows_valid, columns_valid, next,
                              shape.k);
      commit_copies();
      multiply_stage<tile_rows>(staged + depth % stages * stage_size, sums);
    }
    store_tile(c, tile, shape.n, sums);
    wait_for_copies<0>();
    __syncthreads();  // the next tile writes the stages that others may still read
  }
}

template <int tile_rows>
void launch(const bf16* a, const bf16* w, const int32_t* offsets, const GroupedGemm& shape, bf16* c, int sms,
            cudaStream_t stream) {
  check_cuda(cudaFuncSetAttribute(multiply_groups<tile_rows>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  shared_bytes<tile_rows>));
  multiply_groups<tile_rows>
      <<<unsigned(sms * blocks_per_sm), threads, shared_bytes<tile_rows>, stream>>>(a, w, offsets, shape, c);
  check_launch();
}

}  // namespace

int grouped_gemm_tile_rows(const GroupedGemm& shape) { return int64_t{64} * shape.groups >= shape.rows ? 64 : 128; }

void grouped_gemm(const bf16* a, const bf16* w, const int32_t* offsets, const GroupedGemm& shape, bf16* c, int sms,
                  cudaStream_t stream) {
  CHECK(shape.rows >= 0);
  CHECK(shape.groups > 0 && shape.groups <= groups_max);
  CHECK(shape.n > 0 && shape.n % 8 == 0);
  CHECK(shape.k > 0 && shape.k % tile_depth == 0);
  // Tiles are counted in 32 bits; a group has at most one that is not full.
  CHECK((int64_t{shape.rows} / 64 + shape.groups) * (shape.n / tile_columns + 1) < (int64_t{1} << 31));
  if (shape.rows == 0) return;
  if (grouped_gemm_tile_rows(shape) == 64)
    launch<64>(a, w, offsets, shape, c, sms, stream);
  else
    launch<128>(a, w, offsets, shape, c, sms, stream);
}

}  // namespace moesim::bench
