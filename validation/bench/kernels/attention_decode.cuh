// How decode attention is cut: the keys of a sequence into splits, each of which leaves a sum and what its weights are
// relative to; a last kernel combines them.
#pragma once

#include "validation/bench/kernels/attention.cuh"
#include "validation/bench/kernels/kernels.h"

namespace moesim::bench {

constexpr int splits_max = 128;

struct DecodePlan {
  int rows;        // heads of a block, all of one kv head
  int row_blocks;  // blocks for the heads of a kv head
  int splits;      // of the keys of a sequence
  int split_keys;  // keys of a split; the last may have fewer, but has one
};

// What a split leaves. Index of a row: (sequence * heads + head) * splits + split.
struct Partial {
  float* sums;    // [rows, v_dim], values weighted with 2^(score - highest)
  float2* stats;  // [rows]: the highest score, in log2, and the sum of the weights
};

// MLA's absorbed form: (576, 512), values are the first of the keys.
constexpr int latent_tile_keys = 32;
constexpr int latent_rows = 64;
void attention_decode_latent(const bf16* queries, const bf16* keys, const Attention& shape, const DecodePlan& plan,
                             const Partial& partial, cudaStream_t stream);

}  // namespace moesim::bench
