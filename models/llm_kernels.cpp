#include "models/llm_kernels.h"

#include <algorithm>
#include <array>
#include <vector>

#include "models/roofline.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

int64_t share(const LlmOnGpu& gpu, int64_t width) { return ceil_div(width, gpu.tensor_parallel); }

int64_t new_tokens_in(std::span<const RequestLength> requests) {
  int64_t tokens = 0;
  for (const RequestLength& request : requests) tokens += request.new_tokens;
  return tokens;
}

KernelCost gemm_cost(const LlmOnGpu& gpu, int64_t m, int64_t n, int64_t k, Precision weights) {
  return kernel_cost(gpu.cost, DenseGemm{m, n, k, weights});
}

KernelCost ffn_cost(const LlmOnGpu& gpu, int64_t tokens, int64_t intermediate) {
  const int64_t width = share(gpu, intermediate);
  const int64_t up_matrices = gpu.llm.ffn_matrices - 1;
  const KernelCost activation = up_matrices == 2 ? kernel_cost(gpu.cost, SwiGlu{tokens, width})
                                                 : kernel_cost(gpu.cost, ElementWise{tokens * width, tokens * width});
  const std::array parts{gemm_cost(gpu, tokens, up_matrices * width, gpu.llm.hidden, gpu.precision.dense), activation,
                         gemm_cost(gpu, tokens, gpu.llm.hidden, width, gpu.precision.dense)};
  return in_sequence(parts);
}

AttentionCosts standard_block(const LlmOnGpu& gpu, int32_t layer, std::span<const RequestLength> requests) {
  const LlmSpec& llm = gpu.llm;
  const int64_t tokens = new_tokens_in(requests);
  const int64_t heads = share(gpu, llm.heads);
  const int64_t kv_heads = share(gpu, llm.kv_heads);
  const int64_t sharing = ceil_div(heads, kv_heads);
  const int64_t context_max = int64_t{1} << 40;
  const int64_t window = visible_context(llm, layer, context_max);
  AttentionCosts costs;
  costs.projections =
      gemm_cost(gpu, tokens, (heads + 2 * kv_heads) * llm.head_dim, llm.hidden, gpu.precision.attention);
  costs.attention = kernel_cost(gpu.cost, Attention{.requests = requests,
                                                    .heads = sharing * kv_heads,
                                                    .kv_heads = kv_heads,
                                                    .qk_dim = llm.head_dim,
                                                    .v_dim = llm.head_dim,
                                                    .window = window < context_max ? window : 0,
                                                    .cache = gpu.precision.cache});
  costs.output = gemm_cost(gpu, tokens, llm.hidden, heads * llm.head_dim, gpu.precision.attention);
  return costs;
}

// Lightning attention keeps a [head_dim, head_dim] state a head instead of a cache; chunks of tokens update it.
AttentionCosts linear_block(const LlmOnGpu& gpu, std::span<const RequestLength> requests) {
  const LlmSpec& llm = gpu.llm;
  const int64_t tokens = new_tokens_in(requests);
  const int64_t width = share(gpu, llm.heads) * llm.head_dim;
  const int64_t state = 2 * width * llm.head_dim;  // fp32: two bf16 values each
  const int64_t states = int64_t(requests.size()) * state;
  AttentionCosts costs;
  costs.projections = gemm_cost(gpu, tokens, 4 * width, llm.hidden, gpu.precision.attention);
  costs.attention = kernel_cost(gpu.cost, ElementWise{4 * tokens * width + states, tokens * width + states});
  costs.output = gemm_cost(gpu, tokens, llm.hidden, width, gpu.precision.attention);
  return costs;
}

// One product a head, [tokens, k] x [k, n], with weights of its own.
KernelCost per_head_cost(const LlmOnGpu& gpu, int64_t heads, int64_t tokens, int64_t n, int64_t k) {
  const std::vector<int64_t> rows(size_t(heads), tokens);
  return kernel_cost(gpu.cost, GroupedGemm{rows, n, k, gpu.precision.attention});
}

AttentionCosts mla_block(const LlmOnGpu& gpu, std::span<const RequestLength> requests) {
  const LlmSpec& llm = gpu.llm;
  CHECK(llm.mla.has_value());
  const MlaDims& mla = *llm.mla;
  const Precision weights = gpu.precision.attention;
  const int64_t heads = share(gpu, llm.heads);
  const int64_t qk_dim = mla.qk_nope_head_dim + mla.qk_rope_head_dim;
  const int64_t latent_dim = mla.kv_lora_rank + mla.qk_rope_head_dim;
  const int64_t tokens = new_tokens_in(requests);
  std::vector<RequestLength> absorbed;
  std::vector<RequestLength> expanded;
  int64_t expanded_keys = 0;
  for (const RequestLength& request : requests) {
    (request.new_tokens == 1 ? absorbed : expanded).push_back(request);
    if (request.new_tokens > 1) expanded_keys += request.context + request.new_tokens;
  }
  const int64_t q_rank = mla.q_lora_rank.value_or(0);
  const int64_t one_each = int64_t(absorbed.size());
  const std::array projections{
      gemm_cost(gpu, tokens, q_rank + latent_dim, llm.hidden, weights),
      gemm_cost(gpu, tokens, heads * qk_dim, q_rank > 0 ? q_rank : llm.hidden, weights),
      gemm_cost(gpu, expanded_keys, heads * (mla.qk_nope_head_dim + mla.v_head_dim), mla.kv_lora_rank, weights),
      per_head_cost(gpu, heads, one_each, mla.kv_lora_rank, mla.qk_nope_head_dim)};
  const std::array attention{
      kernel_cost(gpu.cost, Attention{.requests = absorbed,
                                      .heads = heads,
                                      .kv_heads = 1,
                                      .qk_dim = latent_dim,
                                      .v_dim = mla.kv_lora_rank,
                                      .values_are_keys = true,
                                      .cache = gpu.precision.cache}),
      kernel_cost(
          gpu.cost,
          Attention{
              .requests = expanded, .heads = heads, .kv_heads = heads, .qk_dim = qk_dim, .v_dim = mla.v_head_dim})};
  const std::array output{per_head_cost(gpu, heads, one_each, mla.v_head_dim, mla.kv_lora_rank),
                          gemm_cost(gpu, tokens, llm.hidden, heads * mla.v_head_dim, weights)};
  return {{}, in_sequence(projections), in_sequence(attention), in_sequence(output)};
}

KernelCost repeated(const KernelCost& cost, int32_t times) {
  return in_sequence(std::vector<KernelCost>(size_t(times), cost));
}

}  // namespace

KernelCost AttentionCosts::total() const { return in_sequence(std::array{norm, projections, attention, output}); }

AttentionCosts attention_costs(const LlmOnGpu& gpu, int32_t layer, std::span<const RequestLength> requests) {
  const LlmSpec& llm = gpu.llm;
  const int64_t tokens = new_tokens_in(requests);
  if (tokens == 0) return {};
  AttentionCosts block = !is_softmax_layer(llm, layer)         ? linear_block(gpu, requests)
                         : llm.attention == AttentionKind::mla ? mla_block(gpu, requests)
                                                               : standard_block(gpu, layer, requests);
  block.norm = kernel_cost(gpu.cost, Norm{tokens, llm.hidden});
  const int32_t blocks = llm.attention_blocks + (llm.encoder_layers > 0 && layer >= llm.encoder_layers ? 1 : 0);
  return {repeated(block.norm, blocks), repeated(block.projections, blocks), repeated(block.attention, blocks),
          repeated(block.output, blocks)};
}

AttentionData attention_data(const LlmSpec& llm, const LlmPrecision& precision, int32_t layer,
                             std::span<const RequestLength> requests) {
  if (!is_softmax_layer(llm, layer)) return {};
  const bool latent = llm.attention == AttentionKind::mla && llm.mla.has_value();
  const int64_t qk_dim = latent ? llm.mla->kv_lora_rank + llm.mla->qk_rope_head_dim : llm.head_dim;
  const int64_t v_dim = latent ? llm.mla->kv_lora_rank : llm.head_dim;
  const int64_t heads = llm.heads * llm.attention_blocks;
  const int64_t token = kv_bytes_per_token(llm, layer, precision.cache).count;
  AttentionData data;
  int64_t tokens = 0;
  for (const RequestLength& request : requests) {
    tokens += request.new_tokens;
    data.cache_past += Bytes{visible_context(llm, layer, request.context) * token};
    const int64_t last = visible_context(llm, layer, request.context + request.new_tokens);
    data.flops += 2.0 * double(heads * (qk_dim + v_dim)) * double(request.new_tokens * last);
  }
  data.query = bytes_of(tokens * heads * qk_dim, Precision::bf16);
  data.result = bytes_of(tokens * heads * v_dim, Precision::bf16);
  data.cache_new = Bytes{tokens * token};
  data.cache_read = data.cache_past + data.cache_new;
  return data;
}

KernelCost gate_cost(const LlmOnGpu& gpu, int64_t tokens) {
  const LlmSpec& llm = gpu.llm;
  const std::array parts{kernel_cost(gpu.cost, Norm{tokens, llm.hidden}),
                         kernel_cost(gpu.cost, Gate{tokens, llm.hidden, llm.experts + llm.zero_experts, llm.top_k})};
  return in_sequence(parts);
}

KernelCost experts_cost(const LlmOnGpu& gpu, std::span<const int64_t> rows) {
  const LlmSpec& llm = gpu.llm;
  int64_t copies = 0;
  for (const int64_t expert : rows) copies += expert;
  const int64_t width = share(gpu, llm.moe_intermediate);
  const int64_t up_matrices = llm.ffn_matrices - 1;
  const KernelCost activation = up_matrices == 2 ? kernel_cost(gpu.cost, SwiGlu{copies, width})
                                                 : kernel_cost(gpu.cost, ElementWise{copies * width, copies * width});
  const std::array parts{
      kernel_cost(gpu.cost, GroupedGemm{rows, up_matrices * width, llm.hidden, gpu.precision.experts}), activation,
      kernel_cost(gpu.cost, GroupedGemm{rows, llm.hidden, width, gpu.precision.experts})};
  return in_sequence(parts);
}

KernelCost shared_experts_cost(const LlmOnGpu& gpu, int64_t tokens) {
  if (gpu.llm.shared_experts == 0) return {};
  return ffn_cost(gpu, tokens, gpu.llm.shared_intermediate);
}

KernelCost dense_ffn_cost(const LlmOnGpu& gpu, int32_t layer, int64_t tokens) {
  const LlmSpec& llm = gpu.llm;
  const int32_t ffns = is_moe_layer(llm, layer) ? llm.dense_ffn_per_layer : 1;
  const std::array parts{kernel_cost(gpu.cost, Norm{tokens, llm.hidden}),
                         ffn_cost(gpu, tokens, llm.dense_intermediate)};
  return repeated(in_sequence(parts), ffns);
}

KernelCost lm_head_cost(const LlmOnGpu& gpu, int64_t tokens) {
  const LlmSpec& llm = gpu.llm;
  const std::array parts{kernel_cost(gpu.cost, Norm{tokens, llm.hidden}),
                         gemm_cost(gpu, tokens, share(gpu, llm.vocab), llm.hidden, gpu.precision.dense)};
  return in_sequence(parts);
}

}  // namespace moesim
