// Decode attention: one query a sequence, bound by reading the keys and values. The heads that share a key are the rows
// of a tensor-core product, padded to 16, so that every key is read once; each warp takes every fourth 16 keys.
#include "sim/core/check.h"
#include "validation/bench/kernels/attention_decode.cuh"
#include "validation/bench/kernels/cuda_check.h"

namespace moesim::bench {
namespace {

constexpr int warps = 4;
constexpr int threads = warps * 32;
constexpr int rows = 16;
constexpr int warp_keys = 16;
constexpr int tile_keys = warps * warp_keys;
constexpr int batch_max = 65535;

template <int qk_dim, int v_dim>
constexpr int stage_elements = tile_keys * (qk_dim + v_dim);
// Two stages of 40 KiB or three of less: two blocks fit on an H100's multiprocessor.
template <int qk_dim, int v_dim>
constexpr int stages = qk_dim > 128 ? 2 : 3;

// Combines the warps of a block. `shared` has room for warps * rows * (v_dim + 2) floats. The first of the block's
// heads is row `first` of `partial`; heads are `splits` rows apart.
template <int v_dim>
__device__ inline void store(OnlineSoftmax<v_dim>& softmax, float* shared, const Partial& partial, int64_t first,
                             int splits, int heads) {
  const int lane = int(threadIdx.x) % 32;
  const int warp = int(threadIdx.x) / 32;
  float* stats = shared + warps * rows * v_dim;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int row = warp * rows + lane / 4 + h * 8;
    const float total = quad_sum(softmax.total[h]);
    if (lane % 4 == 0) {
      stats[row * 2] = softmax.highest[h];
      stats[row * 2 + 1] = total;
    }
#pragma unroll
    for (int part = 0; part < v_dim / 8; ++part)
      *reinterpret_cast<float2*>(shared + row * v_dim + part * 8 + lane % 4 * 2) =
          make_float2(softmax.sums[part][h * 2], softmax.sums[part][h * 2 + 1]);
  }
  __syncthreads();
  for (int head = 0; head < min(heads, rows); ++head) {
    float highest = -INFINITY;  // finite below, since a split has a key
    for (int i = 0; i < warps; ++i) highest = fmaxf(highest, stats[(i * rows + head) * 2]);
    float factors[warps];
    float total = 0;
#pragma unroll
    for (int i = 0; i < warps; ++i) {
      factors[i] = exp2_fast(stats[(i * rows + head) * 2] - highest);
      total += factors[i] * stats[(i * rows + head) * 2 + 1];
    }
    const int64_t to = first + int64_t(head) * splits;
    if (threadIdx.x == 0) partial.stats[to] = make_float2(highest, total);
    for (int column = int(threadIdx.x); column < v_dim; column += threads) {
      float sum = 0;
#pragma unroll
      for (int i = 0; i < warps; ++i) sum += factors[i] * shared[(i * rows + head) * v_dim + column];
      partial.sums[to * v_dim + column] = sum;
    }
  }
}

template <int qk_dim, int v_dim>
__global__ void __launch_bounds__(threads, 2)
    attend(const bf16* __restrict__ queries, const bf16* __restrict__ keys, const bf16* __restrict__ values,
           Attention shape, DecodePlan plan, float scale_log2, Partial partial) {
  constexpr int stage_size = stage_elements<qk_dim, v_dim>;
  constexpr int ahead = stages<qk_dim, v_dim> - 1;
  extern __shared__ __align__(128) unsigned char shared_memory[];
  bf16* staged = reinterpret_cast<bf16*>(shared_memory);
  const int lane = int(threadIdx.x) % 32;
  const int first_key = int(threadIdx.x) / 32 * warp_keys;
  const int share = shape.heads / shape.kv_heads;
  const int kv_head = int(blockIdx.x) / plan.row_blocks;
  const int first_row = int(blockIdx.x) % plan.row_blocks * rows;
  const int split = int(blockIdx.y);
  const int64_t sequence = blockIdx.z;
  const int64_t first_head = sequence * shape.heads + kv_head * share + first_row;
  const int key_begin = split * plan.split_keys;
  const int key_end = min(key_begin + plan.split_keys, shape.kv);
  const int tiles = (key_end - key_begin + tile_keys - 1) / tile_keys;
  const bf16* k = keys + (sequence * shape.kv * shape.kv_heads + kv_head) * qk_dim;
  const bf16* v = values + (sequence * shape.kv * shape.kv_heads + kv_head) * v_dim;
  const auto load = [&](int tile) {
    if (tile < tiles) {
      bf16* stage = staged + tile % (ahead + 1) * stage_size;
      const int begin = key_begin + tile * tile_keys;
      load_rows<qk_dim, tile_keys, threads>(stage, k, int64_t(shape.kv_heads) * qk_dim, begin, key_end);
      load_rows<v_dim, tile_keys, threads>(stage + tile_keys * qk_dim, v, int64_t(shape.kv_heads) * v_dim, begin,
                                           key_end);
    }
    commit_copies();
  };
  for (int tile = 0; tile < ahead; ++tile) load(tile);
  uint32_t q[qk_dim / 16][4];
  load_queries<qk_dim>(q, queries + first_head * qk_dim, qk_dim, lane / 4, share - first_row);
  OnlineSoftmax<v_dim> softmax;
  for (int tile = 0; tile < tiles; ++tile) {
    wait_for_copies<ahead - 1>();
    __syncthreads();  // the tile has landed for all, and all are done with the stage that is now overwritten
    load(tile + ahead);
    const bf16* stage = staged + tile % (ahead + 1) * stage_size;
    float scores[warp_keys / 8][4] = {};
    score_keys<qk_dim, warp_keys>(q, stage + first_key * qk_dim, scale_log2, scores);
    const int key = key_begin + tile * tile_keys + first_key + lane % 4 * 2;
#pragma unroll
    for (int part = 0; part < warp_keys / 8; ++part)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        if (key + part * 8 + i % 2 >= key_end) scores[part][i] = -INFINITY;
    softmax.template add<warp_keys>(scores, stage + tile_keys * qk_dim + first_key * v_dim);
  }
  wait_for_copies<0>();
  __syncthreads();  // the stages become room for the warps' sums
  store<v_dim>(softmax, reinterpret_cast<float*>(shared_memory), partial, first_head * plan.splits + split, plan.splits,
               share - first_row);
}

// One block a head; thread s weighs split s, then every thread adds up some elements.
__global__ void __launch_bounds__(splits_max) combine(Partial partial, int splits, int v_dim, bf16* __restrict__ out) {
  __shared__ float weights[splits_max];
  __shared__ float2 stats[splits_max];
  const int64_t row = blockIdx.x;
  const int thread = int(threadIdx.x);
  if (thread < splits) stats[thread] = partial.stats[row * splits + thread];
  __syncthreads();
  float highest = -INFINITY;
  for (int split = 0; split < splits; ++split) highest = fmaxf(highest, stats[split].x);
  float total = 0;
  for (int split = 0; split < splits; ++split) total += exp2_fast(stats[split].x - highest) * stats[split].y;
  if (thread < splits) weights[thread] = exp2_fast(stats[thread].x - highest) / total;
  __syncthreads();
  for (int column = thread; column < v_dim; column += splits_max) {
    float sum = 0;
#pragma unroll 4
    for (int split = 0; split < splits; ++split)
      sum += weights[split] * partial.sums[(row * splits + split) * v_dim + column];
    out[row * v_dim + column] = bf16(sum);
  }
}

// The cut with the fewest tiles in a row, where every split costs about three tiles more to begin and to combine.
DecodePlan plan_decode(const Attention& shape, int sms) {
  const bool latent = shape.values == Values::first_of_keys;
  const int block_keys = latent ? latent_tile_keys : tile_keys;
  const int64_t slots = int64_t{sms} * (latent ? 1 : 2);
  DecodePlan plan{};
  plan.rows = latent ? latent_rows : rows;
  plan.row_blocks = (shape.heads / shape.kv_heads + plan.rows - 1) / plan.rows;
  const int64_t blocks = int64_t{shape.batch} * shape.kv_heads * plan.row_blocks;
  const int tiles = (shape.kv + block_keys - 1) / block_keys;
  int64_t cost_min = INT64_MAX;
  for (int wanted = 1; wanted <= tiles && wanted <= splits_max; ++wanted) {
    const int each = (tiles + wanted - 1) / wanted;
    const int splits = (tiles + each - 1) / each;
    const int64_t cost = (blocks * splits + slots - 1) / slots * (each + 3);
    if (cost >= cost_min) continue;
    cost_min = cost;
    plan.splits = splits;
    plan.split_keys = each * block_keys;
  }
  return plan;
}

template <int qk_dim, int v_dim>
void launch(const bf16* queries, const bf16* keys, const bf16* values, const Attention& shape, const DecodePlan& plan,
            const Partial& partial, cudaStream_t stream) {
  constexpr int bytes = stages<qk_dim, v_dim> * stage_elements<qk_dim, v_dim> * int(sizeof(bf16));
  static_assert(bytes >= warps * rows * (v_dim + 2) * int(sizeof(float)));
  check_cuda(cudaFuncSetAttribute(attend<qk_dim, v_dim>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
  const dim3 grid{unsigned(shape.kv_heads * plan.row_blocks), unsigned(plan.splits), unsigned(shape.batch)};
  attend<qk_dim, v_dim>
      <<<grid, threads, bytes, stream>>>(queries, keys, values, shape, plan, scale_log2_of(shape), partial);
  check_launch();
}

void check_decode(const Attention& shape, int sms) {
  CHECK(sms > 0);
  CHECK(shape.batch >= 0 && shape.batch <= batch_max);
  CHECK(shape.q == 1 && shape.kv > 0);
  CHECK(shape.kv_heads > 0 && shape.heads > 0 && shape.heads % shape.kv_heads == 0);
  CHECK(int64_t{shape.batch} * shape.heads < (int64_t{1} << 31));
}

}  // namespace

size_t attention_decode_bytes(const Attention& shape, int sms) {
  check_decode(shape, sms);
  return size_t(shape.batch) * size_t(shape.heads) * size_t(plan_decode(shape, sms).splits) * size_t(shape.v_dim + 2) *
         sizeof(float);
}

void attention_decode(const bf16* queries, const bf16* keys, const bf16* values, const Attention& shape, bf16* out,
                      void* workspace, size_t workspace_bytes, int sms, cudaStream_t stream) {
  check_decode(shape, sms);
  CHECK(workspace_bytes >= attention_decode_bytes(shape, sms));
  if (shape.batch == 0) return;
  const DecodePlan plan = plan_decode(shape, sms);
  const int64_t partial_rows = int64_t{shape.batch} * shape.heads * plan.splits;
  auto* sums = static_cast<float*>(workspace);
  const Partial partial{sums, reinterpret_cast<float2*>(sums + partial_rows * shape.v_dim)};
  if (shape.values == Values::first_of_keys) {
    CHECK(shape.qk_dim == 576 && shape.v_dim == 512);
    attention_decode_latent(queries, keys, shape, plan, partial, stream);
  } else if (shape.qk_dim == 64 && shape.v_dim == 64) {
    launch<64, 64>(queries, keys, values, shape, plan, partial, stream);
  } else if (shape.qk_dim == 128 && shape.v_dim == 128) {
    launch<128, 128>(queries, keys, values, shape, plan, partial, stream);
  } else {
    CHECK(shape.qk_dim == 192 && shape.v_dim == 128);
    launch<192, 128>(queries, keys, values, shape, plan, partial, stream);
  }
  combine<<<unsigned(shape.batch * shape.heads), splits_max, 0, stream>>>(partial, plan.splits, shape.v_dim, out);
  check_launch();
}

}  // namespace moesim::bench
