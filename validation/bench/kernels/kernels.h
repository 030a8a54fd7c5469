// The kernels of a MoE layer that moesim measures, for NVIDIA GPUs from sm_80 on.
//
// Every function enqueues its kernels on `stream` and returns: it allocates nothing, waits for nothing and may be
// captured in a CUDA graph. Pointers are device memory, aligned to 16 bytes; arrays are row-major and dense; none may
// overlap another. A shape beyond the stated limits is a CHECK; counts of zero (tokens, rows) are allowed and launch
// nothing. `sms` is the number of multiprocessors of the device. Results do not depend on the order in which blocks
// run.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "validation/bench/kernels/shapes.h"

namespace moesim::bench {

using bf16 = __nv_bfloat16;

// --- gates ---------------------------------------------------------------------------------------------------------

// scores [tokens, experts] -> the k experts of the highest scores by falling score, ties to the lower id, and their
// softmax probabilities. weights, expert_ids [tokens, k]. experts <= 1024, k <= min(16, experts); scores are finite.
void softmax_top_k(const float* scores, int tokens, int experts, int k, Normalize normalize, float* weights,
                   int32_t* expert_ids, cudaStream_t stream);

// s = sigmoid(score); s + bias [experts] decides: a group counts the sum of its two best, the top_groups groups are
// kept, and among their experts the k best are chosen, by falling s + bias, ties to the lower id. Weights: s of the
// chosen, divided by their sum, times scale. experts <= 1024, groups <= 32, k <= min(16, experts of the kept groups).
void sigmoid_group_top_k(const float* scores, const float* bias, int tokens, const GroupGate& gate, float* weights,
                         int32_t* expert_ids, cudaStream_t stream);

// --- order, permute, unpermute -------------------------------------------------------------------------------------

// A stable sort of the choices [tokens, k] by expert; a slot is a place in it.
struct ExpertOrder {
  int32_t* counts;          // [experts]
  int32_t* offsets;         // [experts + 1]: the first slot of each expert, and the number of slots
  int32_t* row_of_slot;     // [tokens * k]: the token whose row stands in the slot
  int32_t* slot_of_choice;  // [tokens, k]
};

// Bytes of workspace that order_by_expert needs.
size_t order_by_expert_bytes(int tokens, int k, int experts);

// expert_ids [tokens, k], each in [0, experts). experts <= 1024, tokens * k < 2^31 - 512.
void order_by_expert(const int32_t* expert_ids, int tokens, int k, int experts, const ExpertOrder& order,
                     void* workspace, size_t workspace_bytes, cudaStream_t stream);

// out[r] = x[source_of_row[r]] for each of `rows` rows of `width` elements (a multiple of 8): permute, with
// row_of_slot; regroup and unregroup, with the caller's index.
void gather_rows(const bf16* x, const int32_t* source_of_row, int rows, int width, bf16* out, cudaStream_t stream);
inline void permute_rows(const bf16* x, const int32_t* row_of_slot, int rows, int width, bf16* out,
                         cudaStream_t stream) {
  gather_rows(x, row_of_slot, rows, width, out, stream);
}

// out[t] = sum over j of weights[t, j] * results[slot_of_choice[t, j]], in fp32. width is a multiple of 8, k <= 16.
void unpermute(const bf16* results, const int32_t* slot_of_choice, const float* weights, int tokens, int k, int width,
               bf16* out, cudaStream_t stream);

// --- row by row ----------------------------------------------------------------------------------------------------

// x [rows, 2 f] -> out [rows, f] = silu(x[:, :f]) * x[:, f:]. f is a multiple of 8.
void swiglu(const bf16* x, int rows, int f, bf16* out, cudaStream_t stream);

// out = x / sqrt(mean(x^2) + epsilon) * gain, over each row; gain [width]. width is a multiple of 8, at most 16384.
void rms_norm(const bf16* x, const bf16* gain, int rows, int width, float epsilon, bf16* out, cudaStream_t stream);

// --- grouped GEMM --------------------------------------------------------------------------------------------------

// Rows of a tile: 64 where groups have at most 64 rows on average, else 128. A tile has 128 columns.
int grouped_gemm_tile_rows(const GroupedGemm& shape);

// c [rows, n] = a [rows, k] times the transpose of w[group] [n, k], for the group whose rows these are: rows
// offsets[g] to offsets[g + 1] belong to group g; offsets [groups + 1] is on the device, and its last entry is `rows`.
// Groups may be empty. rows * k and groups * n * k have 63 bits.
void grouped_gemm(const bf16* a, const bf16* w, const int32_t* offsets, const GroupedGemm& shape, bf16* c, int sms,
                  cudaStream_t stream);

// --- attention -----------------------------------------------------------------------------------------------------

// Causal: the q queries are the last of the kv positions. queries [batch, q, heads, qk_dim], keys [batch, kv, kv_heads,
// qk_dim], values [batch, kv, kv_heads, v_dim] -> out [batch, q, heads, v_dim]. (qk_dim, v_dim): (64, 64), (128, 128),
// (192, 128). Values::own only; batch and q / 128 are at most 65535.
void attention_prefill(const bf16* queries, const bf16* keys, const bf16* values, const Attention& shape, bf16* out,
                       cudaStream_t stream);

// Bytes of workspace that attention_decode needs.
size_t attention_decode_bytes(const Attention& shape, int sms);

// One query a sequence (q = 1), which sees all kv keys. Layouts as above. (qk_dim, v_dim): those above, and (576, 512)
// with Values::first_of_keys, MLA's absorbed form, in which a value is the first 512 elements of its key (`values` is
// not read). batch and kv_heads * (heads / kv_heads / 16, rounded up) are at most 65535.
void attention_decode(const bf16* queries, const bf16* keys, const bf16* values, const Attention& shape, bf16* out,
                      void* workspace, size_t workspace_bytes, int sms, cudaStream_t stream);

// --- filling -------------------------------------------------------------------------------------------------------

// Element i becomes scale times a nearly normal variate (a sum of four uniform ones, of mean 0 and variance 1, within
// 3.47) that is a hash of (seed, i).
void fill_normal(bf16* x, int64_t count, float scale, uint64_t seed, cudaStream_t stream);
void fill_normal(float* x, int64_t count, float scale, uint64_t seed, cudaStream_t stream);

// All bits set: a NaN as bf16, fp8 or fp32, -1 as an integer. An output that is not written shows.
void fill_poison(void* x, size_t bytes, cudaStream_t stream);

}  // namespace moesim::bench
