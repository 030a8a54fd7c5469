// Causal attention over whole sequences, with the softmax done on the way (Dao, FlashAttention-2, 2023). A block takes
// 128 queries of one head, each of its 8 warps 16 of them, and walks over the keys in tiles of 64, of which the next is
// copied while this one is multiplied.
#include "sim/core/check.h"
#include "validation/bench/kernels/attention.cuh"
#include "validation/bench/kernels/cuda_check.h"

namespace moesim::bench {
namespace {

constexpr int warps = 8;
constexpr int threads = warps * 32;
constexpr int tile_queries = warps * 16;
constexpr int tile_keys = 64;
constexpr int batch_max = 65535;

template <int qk_dim, int v_dim>
constexpr int stage_elements = tile_keys * (qk_dim + v_dim);

// Keys after `last_key` (of row g, and of row g + 8) count nothing.
__device__ inline void mask_tile(int key_begin, int last_key, int last_key_8, float (&scores)[tile_keys / 8][4]) {
  const int key = key_begin + int(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int part = 0; part < tile_keys / 8; ++part)
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (key + part * 8 + i % 2 > (i < 2 ? last_key : last_key_8)) scores[part][i] = -INFINITY;
}

template <int qk_dim, int v_dim>
__global__ void __launch_bounds__(threads, 1)
    attend(const bf16* __restrict__ queries, const bf16* __restrict__ keys, const bf16* __restrict__ values,
           Attention shape, float scale_log2, bf16* __restrict__ out) {
  constexpr int stage_size = stage_elements<qk_dim, v_dim>;
  extern __shared__ __align__(128) unsigned char shared_memory[];
  bf16* staged = reinterpret_cast<bf16*>(shared_memory);
  const int lane = int(threadIdx.x) % 32;
  const int head = int(blockIdx.x);
  const int64_t sequence = blockIdx.y;
  // The last queries see the most keys; their blocks come first, so that the short ones fill the gaps at the end.
  const int block_begin = int(gridDim.z - 1 - blockIdx.z) * tile_queries;
  const int row = block_begin + int(threadIdx.x) / 32 * 16 + lane / 4;  // and row + 8
  const int earlier = shape.kv - shape.q;                               // keys before the first query
  const int kv_head = head / (shape.heads / shape.kv_heads);
  const bf16* k = keys + (sequence * shape.kv * shape.kv_heads + kv_head) * qk_dim;
  const bf16* v = values + (sequence * shape.kv * shape.kv_heads + kv_head) * v_dim;
  const auto load = [&](int tile) {
    bf16* stage = staged + tile % 2 * stage_size;
    load_rows<qk_dim, tile_keys, threads>(stage, k, int64_t(shape.kv_heads) * qk_dim, tile * tile_keys, shape.kv);
    load_rows<v_dim, tile_keys, threads>(stage + tile_keys * qk_dim, v, int64_t(shape.kv_heads) * v_dim,
                                         tile * tile_keys, shape.kv);
    commit_copies();
  };

  const int block_last_key = min(block_begin + tile_queries + earlier, shape.kv) - 1;
  const int tiles = block_last_key / tile_keys + 1;
  load(0);
  uint32_t q[qk_dim / 16][4];
  load_queries<qk_dim>(q, queries + (sequence * shape.q * shape.heads + head) * qk_dim, int64_t(shape.heads) * qk_dim,
                       row, shape.q);
  const int last_key = min(row + earlier, shape.kv - 1);
  const int last_key_8 = min(row + 8 + earlier, shape.kv - 1);
  const int first_masked = row - lane / 4 + earlier + 1;  // the first key that some row of this warp does not see
  OnlineSoftmax<v_dim> softmax;
  for (int tile = 0; tile < tiles; ++tile) {
    wait_for_copies<0>();
    __syncthreads();  // the tile has landed for all, and all are done with the stage that is now overwritten
    if (tile + 1 < tiles) load(tile + 1);
    const bf16* stage = staged + tile % 2 * stage_size;
    float scores[tile_keys / 8][4] = {};
    score_keys<qk_dim, tile_keys>(q, stage, scale_log2, scores);
    if ((tile + 1) * tile_keys > min(first_masked, shape.kv)) mask_tile(tile * tile_keys, last_key, last_key_8, scores);
    softmax.template add<tile_keys>(scores, stage + tile_keys * qk_dim);
  }
  softmax.finish();
  store_rows<v_dim>(softmax.sums, out + (sequence * shape.q * shape.heads + head) * v_dim, int64_t(shape.heads) * v_dim,
                    row, shape.q);
}

template <int qk_dim, int v_dim>
void launch(const bf16* queries, const bf16* keys, const bf16* values, const Attention& shape, bf16* out,
            cudaStream_t stream) {
  constexpr int bytes = 2 * stage_elements<qk_dim, v_dim> * int(sizeof(bf16));
  check_cuda(cudaFuncSetAttribute(attend<qk_dim, v_dim>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
  const int query_tiles = (shape.q + tile_queries - 1) / tile_queries;
  const dim3 grid{unsigned(shape.heads), unsigned(shape.batch), unsigned(query_tiles)};
  attend<qk_dim, v_dim><<<grid, threads, bytes, stream>>>(queries, keys, values, shape, scale_log2_of(shape), out);
  check_launch();
}

}  // namespace

void attention_prefill(const bf16* queries, const bf16* keys, const bf16* values, const Attention& shape, bf16* out,
                       cudaStream_t stream) {
  CHECK(shape.batch >= 0 && shape.batch <= batch_max);
  CHECK(shape.q > 0 && shape.q <= shape.kv && shape.q / tile_queries < batch_max);
  CHECK(shape.kv_heads > 0 && shape.heads > 0 && shape.heads % shape.kv_heads == 0);
  CHECK(shape.values == Values::own);
  if (shape.batch == 0) return;
  if (shape.qk_dim == 64 && shape.v_dim == 64) return launch<64, 64>(queries, keys, values, shape, out, stream);
  if (shape.qk_dim == 128 && shape.v_dim == 128) return launch<128, 128>(queries, keys, values, shape, out, stream);
  CHECK(shape.qk_dim == 192 && shape.v_dim == 128);
  launch<192, 128>(queries, keys, values, shape, out, stream);
}

}  // namespace moesim::bench
