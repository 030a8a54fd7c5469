// The shape of a Mixture-of-Experts language model, and the counts that follow from it.
//
// Counts are of weight matrices: norms, biases and routing biases, together below 0.3 % of every model of the
// catalogue, are left out, and so are multi-token-prediction layers, which published totals leave out too.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "models/precision.h"
#include "models/provenance.h"
#include "sim/config/fields.h"

namespace moesim {

enum class AttentionKind { mha, gqa, mla };

constexpr auto enum_names(AttentionKind) {
  return std::to_array<std::pair<AttentionKind, const char*>>(
      {{AttentionKind::mha, "mha"}, {AttentionKind::gqa, "gqa"}, {AttentionKind::mla, "mla"}});
}

// Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434): K and V of a token are cached as one latent vector
// of kv_lora_rank and one rotary key of qk_rope_head_dim, shared by all heads.
struct MlaDims {
  std::optional<int64_t> q_lora_rank;  // absent: q is projected in one step
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0;
  int64_t qk_rope_head_dim = 0;
  int64_t v_head_dim = 0;
};

template <class Visitor>
void fields(Visitor& v, MlaDims& s) {
  v.optional("q_lora_rank", s.q_lora_rank, between<int64_t>(1, 1 << 20),
             "rank of the compressed query; absent: one matrix");
  v.required("kv_lora_rank", s.kv_lora_rank, between<int64_t>(1, 1 << 20), "rank of the compressed key and value");
  v.required("qk_nope_head_dim", s.qk_nope_head_dim, between<int64_t>(1, 1 << 16),
             "query and key width without rotation");
  v.required("qk_rope_head_dim", s.qk_rope_head_dim, between<int64_t>(1, 1 << 16), "rotary query and key width");
  v.required("v_head_dim", s.v_head_dim, between<int64_t>(1, 1 << 16), "value width of a head");
}

// Experts are chosen from the best `chosen` of `groups` equal groups only.
struct RoutingGroups {
  int32_t groups = 1;
  int32_t chosen = 1;
  std::optional<int32_t> experts_per_group;  // exactly so many from each chosen group (Pangu's MoGE)
};

template <class Visitor>
void fields(Visitor& v, RoutingGroups& s) {
  v.required("groups", s.groups, between<int32_t>(1, 4096), "equal groups that the experts form");
  v.required("chosen", s.chosen, between<int32_t>(1, 4096), "groups that a token's experts may come from");
  v.optional("experts_per_group", s.experts_per_group, between<int32_t>(1, 4096),
             "experts taken from each chosen group");
}

struct SlidingWindow {
  int64_t tokens = 0;
  int32_t every = 1;  // layers 0, every, 2 * every, ... are windowed, the others see all
};

template <class Visitor>
void fields(Visitor& v, SlidingWindow& s) {
  v.required("tokens", s.tokens, at_least<int64_t>(1), "tokens that a windowed layer looks back");
  v.optional("every", s.every, between<int32_t>(1, 1024), "layers 0, every, 2 * every and so on are windowed");
}

// What the authors say, in 1e9 parameters: a check of the shape, never an input.
struct PublishedCounts {
  std::optional<double> total_billions;
  std::optional<double> active_billions;
};

template <class Visitor>
void fields(Visitor& v, PublishedCounts& s) {
  v.optional("total_billions", s.total_billions, above(0.0), "parameters in all");
  v.optional("active_billions", s.active_billions, above(0.0), "parameters a token uses");
}

struct LlmSpec {
  int32_t format_version = 1;
  std::string name;

  int32_t layers = 0;
  int32_t encoder_layers = 0;  // the first so many; the others are decoder layers with a cross-attention block
  int64_t hidden = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  AttentionKind attention = AttentionKind::gqa;
  std::optional<MlaDims> mla;
  std::optional<int32_t>
      softmax_every;             // hybrid: only layers softmax_every - 1, 2 * softmax_every - 1, ... are softmax
  int32_t attention_blocks = 1;  // a layer
  std::optional<SlidingWindow> sliding_window;

  int32_t experts = 0;       // routed experts that hold weights
  int32_t zero_experts = 0;  // identity experts: routed to, no weights, no work
  int32_t top_k = 0;         // chosen among both
  int64_t moe_intermediate = 0;
  std::optional<RoutingGroups> routing_groups;
  int32_t shared_experts = 0;
  int64_t shared_intermediate = 0;  // of all shared experts of a layer together

  int32_t dense_first = 0;          // leading layers without experts
  int32_t moe_every = 1;            // of the others, layer l has experts if l + 1 is a multiple of this
  int64_t dense_intermediate = 0;   // of the FFN of layers without experts, and of dense_ffn_per_layer
  int32_t dense_ffn_per_layer = 0;  // dense FFNs beside the experts of an MoE layer
  int32_t ffn_matrices = 3;         // gate, up and down; 2 without a gate

  int64_t vocab = 0;
  bool tied_embeddings = false;
  int32_t mtp_layers = 0;

  std::optional<PublishedCounts> published;
  Status status = Status::recalled;
  std::string source;
  std::string note;
};

template <class Visitor>
void fields(Visitor& v, LlmSpec& s) {
  const auto width = between<int64_t>(1, 1 << 22);
  v.optional("format_version", s.format_version, between<int32_t>(1, 1), "version of this format");
  v.required("name", s.name, "as its authors call it");
  v.required("layers", s.layers, between<int32_t>(1, 4096), "transformer layers, encoder and decoder together");
  v.optional("encoder_layers", s.encoder_layers, between<int32_t>(0, 4096), "leading layers that are an encoder");
  v.required("hidden", s.hidden, width, "width of the residual stream");
  v.required("heads", s.heads, between<int64_t>(1, 4096), "query heads");
  v.required("kv_heads", s.kv_heads, between<int64_t>(1, 4096), "key and value heads");
  v.required("head_dim", s.head_dim, between<int64_t>(1, 1 << 16), "width of a head");
  v.required("attention", s.attention, "multi-head, grouped-query or multi-head latent");
  v.optional("mla", s.mla, "widths of multi-head latent attention");
  v.optional("softmax_every", s.softmax_every, between<int32_t>(1, 4096),
             "hybrid models: every so many layers one has softmax attention, the others lightning (linear) attention");
  v.optional("attention_blocks", s.attention_blocks, between<int32_t>(1, 16), "attention blocks in one layer");
  v.optional("sliding_window", s.sliding_window, "how far windowed layers look back");
  v.required("experts", s.experts, between<int32_t>(1, 1 << 16), "routed experts of an MoE layer that hold weights");
  v.optional("zero_experts", s.zero_experts, between<int32_t>(0, 1 << 16),
             "identity experts that a token may choose too");
  v.required("top_k", s.top_k, between<int32_t>(1, 1 << 16), "experts that a token chooses, identity ones included");
  v.required("moe_intermediate", s.moe_intermediate, width, "intermediate width of a routed expert");
  v.optional("routing_groups", s.routing_groups, "limits a token's experts to some groups");
  v.optional("shared_experts", s.shared_experts, between<int32_t>(0, 1024), "experts that every token uses");
  v.optional("shared_intermediate", s.shared_intermediate, between<int64_t>(0, 1 << 22),
             "of all shared experts of a layer together");
  v.optional("dense_first", s.dense_first, between<int32_t>(0, 4096), "leading layers with a dense FFN");
  v.optional("moe_every", s.moe_every, between<int32_t>(1, 4096),
             "layer l (from 0) has experts if l + 1 is a multiple");
  v.optional("dense_intermediate", s.dense_intermediate, between<int64_t>(0, 1 << 22),
             "intermediate width of a dense FFN");
  v.optional("dense_ffn_per_layer", s.dense_ffn_per_layer, between<int32_t>(0, 16),
             "dense FFNs beside the experts of an MoE layer");
  v.optional("ffn_matrices", s.ffn_matrices, between<int32_t>(2, 3), "3: gate, up and down; 2: up and down");
  v.required("vocab", s.vocab, between<int64_t>(1, 1 << 26), "entries of the embedding table");
  v.optional("tied_embeddings", s.tied_embeddings, "whether input and output share one table");
  v.optional("mtp_layers", s.mtp_layers, between<int32_t>(0, 64),
             "multi-token-prediction layers, not counted in `layers`");
  v.optional("published", s.published, "what the authors say it counts");
  v.optional("status", s.status, "how sure the numbers are");
  v.optional("source", s.source, "where the numbers come from");
  v.optional("note", s.note, "what else to know");
}

void check_fields(const LlmSpec& s, const std::function<void(std::string key, std::string message)>& fault);

// Whether layer `layer` (from 0) has routed experts, and whether its attention is softmax (not linear).
bool is_moe_layer(const LlmSpec& llm, int32_t layer);
bool is_softmax_layer(const LlmSpec& llm, int32_t layer);
int32_t moe_layers(const LlmSpec& llm);

// Weights of one routed expert: ffn_matrices x [hidden, moe_intermediate].
int64_t expert_parameters(const LlmSpec& llm);
// Of all shared experts of one MoE layer.
int64_t shared_parameters(const LlmSpec& llm);
// Of the dense FFNs of one layer.
int64_t dense_parameters(const LlmSpec& llm, int32_t layer);
// Of the gate of one layer: [hidden, experts + zero experts]; 0 in dense layers.
int64_t router_parameters(const LlmSpec& llm, int32_t layer);
// Of all attention blocks of one layer: the projections of q, k, v and output; cross-attention in decoder layers.
int64_t attention_parameters(const LlmSpec& llm, int32_t layer);
// [vocab, hidden], twice unless tied.
int64_t embedding_parameters(const LlmSpec& llm);

int64_t total_parameters(const LlmSpec& llm);

// What one token uses: everything but the routed experts it does not choose. Both embedding tables count in full,
// as in most model cards. Of top_k choices, experts / (experts + zero experts) hold weights: 8 of LongCat-Flash's 12.
int64_t active_parameters(const LlmSpec& llm);

// Bytes that one token adds to the cache of one layer, on all GPUs together: K and V of every softmax block, or MLA's
// latent. Nothing for encoder and linear layers (their state does not grow). Cross-attention caches the same
// again for each token of the source; this is not counted.
Bytes kv_bytes_per_token(const LlmSpec& llm, int32_t layer, Precision precision);
Bytes kv_bytes_per_token(const LlmSpec& llm, Precision precision);  // all layers, windows not taken into account

// How many of `context` tokens a layer looks back at: all, or its sliding window.
int64_t visible_context(const LlmSpec& llm, int32_t layer, int64_t context);

}  // namespace moesim
