#include "models/llm.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {
namespace {

int64_t softmax_block_parameters(const LlmSpec& llm) {
  if (llm.attention != AttentionKind::mla) {
    const int64_t q_and_output = 2 * llm.hidden * llm.heads * llm.head_dim;
    const int64_t k_and_v = 2 * llm.hidden * llm.kv_heads * llm.head_dim;
    return q_and_output + k_and_v;
  }
  const MlaDims& mla = *llm.mla;
  const int64_t q_width = llm.heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim);
  const int64_t q = mla.q_lora_rank ? *mla.q_lora_rank * (llm.hidden + q_width) : llm.hidden * q_width;
  const int64_t kv_down = llm.hidden * (mla.kv_lora_rank + mla.qk_rope_head_dim);
  const int64_t kv_up = mla.kv_lora_rank * llm.heads * (mla.qk_nope_head_dim + mla.v_head_dim);
  return q + kv_down + kv_up + llm.heads * mla.v_head_dim * llm.hidden;
}

// In floating point, so that no shape overflows it: every count of a model is below this.
double parameters_bound(const LlmSpec& s) {
  const double ffns = double(s.experts) * double(s.moe_intermediate) + double(s.shared_intermediate) +
                      double(s.dense_ffn_per_layer + 1) * double(s.dense_intermediate);
  const double latent = s.mla ? double(s.mla->q_lora_rank.value_or(0) + s.mla->kv_lora_rank) : 0;
  const double head = s.mla ? double(s.mla->qk_nope_head_dim + s.mla->qk_rope_head_dim + s.mla->v_head_dim) : 0;
  const double attention =
      double(s.attention_blocks + 1) * double(s.heads) * (double(s.head_dim) + head) * (5 * double(s.hidden) + latent);
  return double(s.layers) * (double(s.hidden) * (3 * ffns + double(s.experts + s.zero_experts) + latent) + attention) +
         2 * double(s.vocab) * double(s.hidden);
}

}  // namespace

void check_fields(const LlmSpec& s, const std::function<void(std::string key, std::string message)>& fault) {
  if (s.attention == AttentionKind::mla && !s.mla) fault("mla", "is needed, because attention is \"mla\"");
  if (s.attention != AttentionKind::mla && s.mla) fault("mla", "is given, but attention is not \"mla\"");
  if (s.heads % std::max<int64_t>(s.kv_heads, 1) != 0) fault("kv_heads", "must divide heads");
  if (s.top_k > s.experts + s.zero_experts) fault("top_k", "is more than there are experts");
  if (s.encoder_layers > s.layers) fault("encoder_layers", "is more than layers");
  if (s.dense_first > s.layers) fault("dense_first", "is more than layers");
  if ((s.shared_experts == 0) != (s.shared_intermediate == 0))
    fault("shared_intermediate", "and shared_experts must both be given, or neither");
  const bool has_dense = s.dense_first > 0 || s.moe_every > 1 || s.dense_ffn_per_layer > 0;
  if (has_dense && s.dense_intermediate == 0) fault("dense_intermediate", "is needed, because some FFNs are dense");
  if (s.routing_groups && s.experts % s.routing_groups->groups != 0)
    fault("routing_groups", "groups must divide experts");
  if (s.routing_groups && s.routing_groups->chosen > s.routing_groups->groups)
    fault("routing_groups", "chosen is more than groups");
  if (parameters_bound(s) > 1e16) fault("layers", "and the widths make more than 1e16 parameters");
}

bool is_moe_layer(const LlmSpec& llm, int32_t layer) {
  CHECK(layer >= 0);
  CHECK(layer < llm.layers);
  return layer >= llm.dense_first && (layer + 1) % llm.moe_every == 0;
}

bool is_softmax_layer(const LlmSpec& llm, int32_t layer) {
  return !llm.softmax_every || (layer + 1) % *llm.softmax_every == 0;
}

int32_t moe_layers(const LlmSpec& llm) {
  int32_t count = 0;
  for (int32_t layer = 0; layer < llm.layers; ++layer) count += is_moe_layer(llm, layer);
  return count;
}

int64_t expert_parameters(const LlmSpec& llm) { return llm.ffn_matrices * llm.hidden * llm.moe_intermediate; }

int64_t shared_parameters(const LlmSpec& llm) { return llm.ffn_matrices * llm.hidden * llm.shared_intermediate; }

int64_t dense_parameters(const LlmSpec& llm, int32_t layer) {
  const int64_t ffns = is_moe_layer(llm, layer) ? llm.dense_ffn_per_layer : 1;
  return ffns * llm.ffn_matrices * llm.hidden * llm.dense_intermediate;
}

int64_t router_parameters(const LlmSpec& llm, int32_t layer) {
  return is_moe_layer(llm, layer) ? llm.hidden * (llm.experts + llm.zero_experts) : 0;
}

int64_t attention_parameters(const LlmSpec& llm, int32_t layer) {
  // Lightning attention (MiniMax-01, arXiv:2501.08313) has q, k and v of full width, and a gate on its output.
  if (!is_softmax_layer(llm, layer)) return llm.attention_blocks * 5 * llm.hidden * llm.heads * llm.head_dim;
  const bool cross = llm.encoder_layers > 0 && layer >= llm.encoder_layers;
  return (llm.attention_blocks + cross) * softmax_block_parameters(llm);
}

int64_t embedding_parameters(const LlmSpec& llm) { return llm.vocab * llm.hidden * (llm.tied_embeddings ? 1 : 2); }

int64_t total_parameters(const LlmSpec& llm) {
  int64_t total = embedding_parameters(llm);
  for (int32_t layer = 0; layer < llm.layers; ++layer) {
    total += attention_parameters(llm, layer) + dense_parameters(llm, layer) + router_parameters(llm, layer);
    if (is_moe_layer(llm, layer)) total += llm.experts * expert_parameters(llm) + shared_parameters(llm);
  }
  return total;
}

int64_t active_parameters(const LlmSpec& llm) {
  const double chosen = double(llm.top_k) * llm.experts / (llm.experts + llm.zero_experts);
  const double idle = double(moe_layers(llm)) * (llm.experts - chosen) * double(expert_parameters(llm));
  return total_parameters(llm) - int64_t(idle);
}

Bytes kv_bytes_per_token(const LlmSpec& llm, int32_t layer, Precision precision) {
  if (layer < llm.encoder_layers || !is_softmax_layer(llm, layer)) return {};
  const int64_t values = llm.attention == AttentionKind::mla ? llm.mla->kv_lora_rank + llm.mla->qk_rope_head_dim
                                                             : 2 * llm.kv_heads * llm.head_dim;
  return bytes_of(llm.attention_blocks * values, precision);
}

Bytes kv_bytes_per_token(const LlmSpec& llm, Precision precision) {
  Bytes total;
  for (int32_t layer = 0; layer < llm.layers; ++layer) total += kv_bytes_per_token(llm, layer, precision);
  return total;
}

int64_t visible_context(const LlmSpec& llm, int32_t layer, int64_t context) {
  const bool windowed = llm.sliding_window && layer % llm.sliding_window->every == 0;
  return windowed ? std::min(context, llm.sliding_window->tokens) : context;
}

}  // namespace moesim
