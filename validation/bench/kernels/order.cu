// Orders the choices of tokens by expert: a counting sort in three kernels. A choice's slot follows from counts alone,
// never from the order in which atomics happen, so that the sort is stable and the same in every run.
#include "sim/core/check.h"
#include "validation/bench/kernels/cuda_check.h"
#include "validation/bench/kernels/kernels.h"

namespace moesim::bench {
namespace {

constexpr unsigned all_lanes = 0xFFFFFFFFU;
constexpr int experts_max = 1024;
constexpr int threads = 512;  // and choices of a block
constexpr int warps = threads / 32;

int blocks_of(int tokens, int k) { return int((int64_t{tokens} * k + threads - 1) / threads); }

// counts [warps][experts]: how often each warp of the block chose each expert. Returns how many lower lanes of this
// thread's warp chose the same expert as this thread. Threads beyond the choices pass expert -1.
__device__ inline int count_by_warp(int expert, int experts, uint16_t* counts) {
  for (int i = int(threadIdx.x); i < warps * experts; i += threads) counts[i] = 0;
  __syncthreads();
  const unsigned same = __match_any_sync(all_lanes, expert);
  const int lane = int(threadIdx.x) % 32;
  const int before = __popc(same & ((1U << lane) - 1));
  if (expert >= 0 && before == 0) counts[int(threadIdx.x) / 32 * experts + expert] = uint16_t(__popc(same));
  __syncthreads();
  return before;
}

// block_counts [experts][blocks].
__global__ void __launch_bounds__(threads) count_choices(const int32_t* __restrict__ expert_ids, int choices,
                                                         int experts, int32_t* __restrict__ block_counts) {
  extern __shared__ uint16_t counts[];
  const int64_t choice = int64_t(blockIdx.x) * threads + threadIdx.x;
  count_by_warp(choice < choices ? expert_ids[choice] : -1, experts, counts);
  for (int expert = int(threadIdx.x); expert < experts; expert += threads) {
    int sum = 0;
    for (int warp = 0; warp < warps; ++warp) sum += counts[warp * experts + expert];
    block_counts[int64_t(expert) * gridDim.x + blockIdx.x] = sum;
  }
}

// The sum of `x` over this lane and those before it.
__device__ inline int sum_up_to(int x, int lane) {
  for (int step = 1; step < 32; step *= 2) {
    const int other = __shfl_up_sync(all_lanes, x, step);
    if (lane >= step) x += other;
  }
  return x;
}

// One block of 1024 threads, a warp for every 32nd expert. block_counts becomes the first slot of each block's choices
// of each expert.
__global__ void __launch_bounds__(1024) place_blocks(int32_t* __restrict__ block_counts, int blocks, int experts,
                                                     int32_t* __restrict__ counts, int32_t* __restrict__ offsets) {
  __shared__ int32_t first_slot[experts_max];
  __shared__ int32_t warp_sums[32];
  const int thread = int(threadIdx.x);
  const int lane = thread % 32;
  const int warp = thread / 32;
  for (int expert = warp; expert < experts; expert += 32) {
    int sum = 0;
    for (int block = lane; block < blocks; block += 32) sum += block_counts[int64_t(expert) * blocks + block];
    sum = __reduce_add_sync(all_lanes, sum);
    if (lane == 0) first_slot[expert] = sum;
  }
  __syncthreads();
  const int count = thread < experts ? first_slot[thread] : 0;
  const int in_warp = sum_up_to(count, lane);
  if (lane == 31) warp_sums[warp] = in_warp;
  __syncthreads();
  int before = 0;
  for (int other = 0; other < warp; ++other) before += warp_sums[other];
  if (thread < experts) {
    first_slot[thread] = before + in_warp - count;
    counts[thread] = count;
    offsets[thread + 1] = before + in_warp;
  }
  if (thread == 0) offsets[0] = 0;
  __syncthreads();
  for (int expert = warp; expert < experts; expert += 32) {
    int slot = first_slot[expert];
    for (int begin = 0; begin < blocks; begin += 32) {
      const int block = begin + lane;
      int32_t* entry = block_counts + int64_t(expert) * blocks + block;
      const int own = block < blocks ? *entry : 0;
      const int up_to = sum_up_to(own, lane);
      if (block < blocks) *entry = slot + up_to - own;
      slot += __shfl_sync(all_lanes, up_to, 31);
    }
  }
}

__global__ void __launch_bounds__(threads)
    place_choices(const int32_t* __restrict__ expert_ids, int choices, int k, int experts,
                  const int32_t* __restrict__ block_slots, int32_t* __restrict__ row_of_slot,
                  int32_t* __restrict__ slot_of_choice) {
  extern __shared__ uint16_t counts[];
  const int64_t choice = int64_t(blockIdx.x) * threads + threadIdx.x;
  const int expert = choice < choices ? expert_ids[choice] : -1;
  int before = count_by_warp(expert, experts, counts);
  if (expert < 0) return;
  for (int warp = 0; warp < int(threadIdx.x) / 32; ++warp) before += counts[warp * experts + expert];
  const int slot = block_slots[int64_t(expert) * gridDim.x + blockIdx.x] + before;
  row_of_slot[slot] = int32_t(choice / k);
  slot_of_choice[choice] = slot;
}

}  // namespace

size_t order_by_expert_bytes(int tokens, int k, int experts) {
  return size_t(blocks_of(tokens, k)) * size_t(experts) * sizeof(int32_t);
}

void order_by_expert(const int32_t* expert_ids, int tokens, int k, int experts, const ExpertOrder& order,
                     void* workspace, size_t workspace_bytes, cudaStream_t stream) {
  CHECK(tokens >= 0 && k > 0);
  CHECK(experts > 0 && experts <= experts_max);
  CHECK(int64_t{tokens} * k < (int64_t{1} << 31) - threads);
  CHECK(workspace_bytes >= order_by_expert_bytes(tokens, k, experts));
  const int choices = tokens * k;
  const int blocks = blocks_of(tokens, k);
  auto* block_counts = static_cast<int32_t*>(workspace);
  const size_t shared_bytes = sizeof(uint16_t) * warps * size_t(experts);  // at most 32 KiB
  if (blocks > 0)
    count_choices<<<unsigned(blocks), threads, shared_bytes, stream>>>(expert_ids, choices, experts, block_counts);
  place_blocks<<<1, 1024, 0, stream>>>(block_counts, blocks, experts, order.counts, order.offsets);
  if (blocks > 0)
    place_choices<<<unsigned(blocks), threads, shared_bytes, stream>>>(expert_ids, choices, k, experts, block_counts,
                                                                       order.row_of_slot, order.slot_of_choice);
  check_launch();
}

}  // namespace moesim::bench
