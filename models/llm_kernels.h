// What one GPU computes in one layer of a model: the kernels of its parts, and what they cost.
// Tensor parallelism splits heads and intermediate widths; the widest share is costed, as the slowest GPU decides.
#pragma once

#include <cstdint>
#include <span>

#include "models/cost_model.h"
#include "models/llm.h"

namespace moesim {

struct LlmPrecision {
  Precision attention = Precision::bf16;  // weights of the projections
  Precision dense = Precision::bf16;      // of dense FFNs, shared experts and the LM head
  Precision experts = Precision::bf16;
  Precision cache = Precision::bf16;
};

template <class Visitor>
void fields(Visitor& v, LlmPrecision& s) {
  v.optional("attention", s.attention, "attention weights");
  v.optional("dense", s.dense, "weights of dense FFNs, shared experts and the LM head");
  v.optional("experts", s.experts, "weights of routed experts");
  v.optional("cache", s.cache, "keys and values");
}

// A GPU, the model it runs, and its share of it.
struct LlmOnGpu {
  const CostModel& cost;
  const LlmSpec& llm;
  LlmPrecision precision = {};
  int32_t tensor_parallel = 1;
};

struct AttentionCosts {
  KernelCost norm;
  KernelCost projections;  // q, k and v, MLA's up- and down-projections included
  KernelCost attention;
  KernelCost output;

  KernelCost total() const;
};

// All attention blocks of a layer for a batch. MLA runs requests of one new token in its absorbed form, against the
// latent cache, and others expanded to full heads, as serving engines do. Cross-attention counts as one more block
// of self-attention.
AttentionCosts attention_costs(const LlmOnGpu& gpu, int32_t layer, std::span<const RequestLength> requests);

// What attention between the projections reads and writes in a layer, wherever it runs: for the time that it takes on
// another processor, and for what travels there and back.
struct AttentionData {
  Bytes query;       // bf16; MLA's in its absorbed form
  Bytes result;      // bf16
  Bytes cache_new;   // keys and values of the new tokens
  Bytes cache_past;  // of the tokens before, as far as the layer looks back
  Bytes cache_read;  // both
  double flops = 0;
};
AttentionData attention_data(const LlmSpec& llm, const LlmPrecision& precision, int32_t layer,
                             std::span<const RequestLength> requests);

// Norm, scores, softmax and top-k for tokens that this GPU holds.
KernelCost gate_cost(const LlmOnGpu& gpu, int64_t tokens);

// The FFNs of the routed experts on this GPU, expert e with rows[e] token copies: up, activation, down.
KernelCost experts_cost(const LlmOnGpu& gpu, std::span<const int64_t> rows);

KernelCost shared_experts_cost(const LlmOnGpu& gpu, int64_t tokens);
KernelCost dense_ffn_cost(const LlmOnGpu& gpu, int32_t layer, int64_t tokens);

// Final norm and logits [tokens, vocab / tensor_parallel], for tokens whose next one is wanted.
KernelCost lm_head_cost(const LlmOnGpu& gpu, int64_t tokens);

}  // namespace moesim
