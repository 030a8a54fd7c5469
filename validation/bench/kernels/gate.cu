// Gates: from the router's scores to the experts of each token and their weights. One warp a token; expert i * 32 +
// lane is the lane's i-th.
#include <cfloat>
#include <climits>

#include "sim/core/check.h"
#include "validation/bench/kernels/cuda_check.h"
#include "validation/bench/kernels/kernels.h"

namespace moesim::bench {
namespace {

constexpr unsigned all_lanes = 0xFFFFFFFFU;
constexpr int warps = 4;  // of a block
constexpr int experts_max = 1024;
constexpr int k_max = 16;

__device__ inline float warp_sum(float x) {
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(all_lanes, x, step);
  return x;
}

// The best of what is not taken, over the warp: the highest value, of equal ones the lowest expert.
template <int per_lane>
__device__ inline int best_expert(const float (&values)[per_lane], uint32_t taken, int lane) {
  float best = -FLT_MAX;
  int expert = INT_MAX;
#pragma unroll
  for (int i = 0; i < per_lane; ++i)
    if ((taken >> i & 1) == 0 && (expert == INT_MAX || values[i] > best)) {
      best = values[i];
      expert = i * 32 + lane;
    }
  for (int step = 16; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(all_lanes, best, step);
    const int other_expert = __shfl_xor_sync(all_lanes, expert, step);
    if (other_expert != INT_MAX && (expert == INT_MAX || other > best || (other == best && other_expert < expert))) {
      best = other;
      expert = other_expert;
    }
  }
  return expert;
}

// Chooses the k best; lane j keeps the j-th and what `weights` says of it. What is `taken` is left out.
template <int per_lane>
__device__ inline void choose(const float (&values)[per_lane], const float (&weights)[per_lane], uint32_t taken, int k,
                              int lane, int& chosen, float& weight) {
  chosen = 0;
  weight = 0;
  for (int j = 0; j < k; ++j) {
    const int expert = best_expert(values, taken, lane);
    float mine = 0;
    if (expert % 32 == lane) taken |= 1U << (expert / 32);
#pragma unroll
    for (int i = 0; i < per_lane; ++i)
      if (i == expert / 32) mine = weights[i];
    mine = __shfl_sync(all_lanes, mine, expert % 32);
    if (lane == j) {
      chosen = expert;
      weight = mine;
    }
  }
}

// Bits of the lane's experts that do not exist.
template <int per_lane>
__device__ inline uint32_t beyond(int experts, int lane) {
  uint32_t taken = 0;
#pragma unroll
  for (int i = 0; i < per_lane; ++i)
    if (i * 32 + lane >= experts) taken |= 1U << i;
  return taken;
}

template <int per_lane>
__global__ void __launch_bounds__(warps * 32)
    choose_by_softmax(const float* __restrict__ scores, int tokens, int experts, int k, Normalize normalize,
                      float* __restrict__ weights, int32_t* __restrict__ expert_ids) {
  const int lane = int(threadIdx.x) % 32;
  const int64_t token = int64_t(blockIdx.x) * warps + threadIdx.x / 32;
  if (token >= tokens) return;
  const uint32_t absent = beyond<per_lane>(experts, lane);
  float values[per_lane];
  float exponentials[per_lane];
  float highest = -FLT_MAX;
#pragma unroll
  for (int i = 0; i < per_lane; ++i) {
    values[i] = (absent >> i & 1) == 0 ? scores[token * experts + i * 32 + lane] : -FLT_MAX;
    highest = fmaxf(highest, values[i]);
  }
  for (int step = 16; step > 0; step /= 2) highest = fmaxf(highest, __shfl_xor_sync(all_lanes, highest, step));
  float sum = 0;
#pragma unroll
  for (int i = 0; i < per_lane; ++i) {
    exponentials[i] = (absent >> i & 1) == 0 ? expf(values[i] - highest) : 0.0F;
    sum += exponentials[i];
  }
  sum = warp_sum(sum);

  int chosen = 0;
  float weight = 0;
  choose(values, exponentials, absent, k, lane, chosen, weight);
  if (normalize == Normalize::yes) sum = warp_sum(weight);
  if (lane < k) {
    weights[token * k + lane] = weight / sum;
    expert_ids[token * k + lane] = chosen;
  }
}

// Bit g says whether group g is among the top groups. `choices` [experts] lies in shared memory.
__device__ inline uint32_t top_groups_of(const float* choices, const GroupGate& gate, int lane) {
  const int size = gate.experts / gate.groups;
  float first = -FLT_MAX;
  float second = -FLT_MAX;
  if (lane < gate.groups)
    for (int j = 0; j < size; ++j) {
      const float value = choices[lane * size + (j + lane) % size];  // each lane begins elsewhere: other banks
      second = fmaxf(second, fminf(first, value));
      first = fmaxf(first, value);
    }
  const float score = first + second;
  int better = 0;
  for (int group = 0; group < gate.groups; ++group) {
    const float other = __shfl_sync(all_lanes, score, group);
    if (other > score || (other == score && group < lane)) ++better;
  }
  return __ballot_sync(all_lanes, lane < gate.groups && better < gate.top_groups);
}

template <int per_lane>
__global__ void __launch_bounds__(warps * 32)
    choose_by_groups(const float* __restrict__ scores, const float* __restrict__ bias, int tokens, GroupGate gate,
                     float* __restrict__ weights, int32_t* __restrict__ expert_ids) {
  __shared__ float shared_choices[warps][per_lane * 32];
  const int lane = int(threadIdx.x) % 32;
  const int64_t token = int64_t(blockIdx.x) * warps + threadIdx.x / 32;
  if (token >= tokens) return;
  float* choices = shared_choices[threadIdx.x / 32];
  uint32_t taken = beyond<per_lane>(gate.experts, lane);
  float values[per_lane];
  float sigmoids[per_lane];
#pragma unroll
  for (int i = 0; i < per_lane; ++i) {
    values[i] = 0;
    sigmoids[i] = 0;
    if ((taken >> i & 1) != 0) continue;
    const int expert = i * 32 + lane;
    sigmoids[i] = 1.0F / (1.0F + expf(-scores[token * gate.experts + expert]));
    values[i] = sigmoids[i] + bias[expert];
    choices[expert] = values[i];
  }
  __syncwarp();
  const uint32_t kept = top_groups_of(choices, gate, lane);
  const int size = gate.experts / gate.groups;
#pragma unroll
  for (int i = 0; i < per_lane; ++i)
    if ((taken >> i & 1) == 0 && (kept >> ((i * 32 + lane) / size) & 1) == 0) taken |= 1U << i;

  int chosen = 0;
  float weight = 0;
  choose(values, sigmoids, taken, gate.k, lane, chosen, weight);
  const float sum = warp_sum(weight);
  if (lane < gate.k) {
    weights[token * gate.k + lane] = weight / sum * gate.scale;
    expert_ids[token * gate.k + lane] = chosen;
  }
}

// Calls launch(std::integral_constant) with the least power of two of experts a lane that suffices.
template <int per_lane = 1, class Launch>
void with_experts_a_lane(int experts, const Launch& launch) {
  if constexpr (per_lane < experts_max / 32) {
    if (experts > per_lane * 32) return with_experts_a_lane<per_lane * 2>(experts, launch);
  }
  launch.template operator()<per_lane>();
}

unsigned blocks_of(int tokens) { return unsigned((int64_t{tokens} + warps - 1) / warps); }

}  // namespace

void softmax_top_k(const float* scores, int tokens, int experts, int k, Normalize normalize, float* weights,
                   int32_t* expert_ids, cudaStream_t stream) {
  CHECK(tokens >= 0);
  CHECK(experts > 0 && experts <= experts_max);
  CHECK(k > 0 && k <= k_max && k <= experts);
  if (tokens == 0) return;
  with_experts_a_lane(experts, [&]<int per_lane>() {
    choose_by_softmax<per_lane>
        <<<blocks_of(tokens), warps * 32, 0, stream>>>(scores, tokens, experts, k, normalize, weights, expert_ids);
  });
  check_launch();
}

void sigmoid_group_top_k(const float* scores, const float* bias, int tokens, const GroupGate& gate, float* weights,
                         int32_t* expert_ids, cudaStream_t stream) {
  CHECK(tokens >= 0);
  CHECK(gate.experts > 0 && gate.experts <= experts_max);
  CHECK(gate.groups > 0 && gate.groups <= 32 && gate.experts % gate.groups == 0);
  CHECK(gate.experts / gate.groups >= 2);
  CHECK(gate.top_groups > 0 && gate.top_groups <= gate.groups);
  CHECK(gate.k > 0 && gate.k <= k_max && gate.k <= gate.experts / gate.groups * gate.top_groups);
  if (tokens == 0) return;
  with_experts_a_lane(gate.experts, [&]<int per_lane>() {
    choose_by_groups<per_lane>
        <<<blocks_of(tokens), warps * 32, 0, stream>>>(scores, bias, tokens, gate, weights, expert_ids);
  });
  check_launch();
}

}  // namespace moesim::bench
