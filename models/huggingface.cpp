#include "models/huggingface.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "sim/config/error.h"
#include "sim/config/suggest.h"

namespace moesim {
namespace {

// What LlmSpec allows: of layers, heads and experts, and of widths. Vocabularies may be larger.
constexpr int64_t count_max = 4096;
constexpr int64_t width_max = 1 << 22;
constexpr int64_t vocab_max = 1 << 26;

// One object of the file, and where its faults go.
struct Keys {
  const JsonNode& object;
  std::string pointer;  // of the object
  std::vector<Fault>& faults;

  void fault(const JsonNode* node, const std::string& key, const std::string& message) const {
    faults.push_back({node ? node->line : object.line, pointer + "/" + key, message});
  }

  // The key's value; null counts as absent, as in Python's configuration classes.
  const JsonNode* find(const std::string& key) const {
    const JsonNode* node = object.find(key);
    return node && node->kind != JsonKind::null ? node : nullptr;
  }

  std::optional<int64_t> integer(const std::string& key, int64_t low, int64_t high = width_max) const {
    const JsonNode* node = find(key);
    if (!node) return std::nullopt;
    int64_t value = 0;
    const char* end = node->text.data() + node->text.size();
    const auto parsed = std::from_chars(node->text.data(), end, value);
    if (node->kind == JsonKind::number && parsed.ec == std::errc() && parsed.ptr == end && value >= low &&
        value <= high)
      return value;
    fault(node, key, fmt::format("must be an integer from {} to {}", low, high));
    return low;
  }

  int64_t required(const std::string& key, int64_t low = 1, int64_t high = width_max) const {
    if (const auto value = integer(key, low, high)) return *value;
    fault(nullptr, key, "is missing");
    return low;
  }
  int64_t optional(const std::string& key, int64_t otherwise, int64_t low = 0) const {
    return integer(key, low).value_or(otherwise);
  }
  int32_t count(const std::string& key) const { return int32_t(required(key, 1, count_max)); }
  int32_t optional_count(const std::string& key, int32_t otherwise) const {
    return int32_t(integer(key, 0, count_max).value_or(otherwise));
  }
  bool flag(const std::string& key, bool otherwise) const {
    const JsonNode* node = find(key);
    if (!node) return otherwise;
    if (node->kind != JsonKind::boolean) fault(node, key, "must be true or false");
    return node->text == "true";
  }

  // A part of the file that must be an object; an absent one is a fault, and every key of it then too.
  Keys inside(const std::string& key) const {
    static const JsonNode empty{JsonKind::object, 0, {}, {}, {}};
    const JsonNode* node = find(key);
    if (!node || node->kind != JsonKind::object) fault(node, key, node ? "must be an object" : "is missing");
    return {node && node->kind == JsonKind::object ? *node : empty, pointer + "/" + key, faults};
  }
};

void read_attention(const Keys& k, LlmSpec& s) {
  s.layers = k.count("num_hidden_layers");
  s.hidden = k.required("hidden_size");
  s.heads = k.count("num_attention_heads");
  s.kv_heads = k.optional("num_key_value_heads", s.heads, 1);
  s.head_dim = k.optional("head_dim", s.hidden / s.heads, 1);
  s.attention = s.kv_heads == s.heads ? AttentionKind::mha : AttentionKind::gqa;
  s.vocab = k.required("vocab_size", 1, vocab_max);
  // The configuration classes of all these families default to two tables.
  s.tied_embeddings = k.flag("tie_word_embeddings", false);
  const int64_t longest = k.integer("max_position_embeddings", 1, int64_t{1} << 40).value_or(int64_t{1} << 40);
  const int64_t window = k.integer("sliding_window", 0, int64_t{1} << 40).value_or(0);
  if (window > 0 && window < longest && k.flag("use_sliding_window", true)) s.sliding_window = {window, 1};
}

void read_mla(const Keys& k, LlmSpec& s) {
  MlaDims mla;
  mla.q_lora_rank = k.integer("q_lora_rank", 1);
  mla.kv_lora_rank = k.required("kv_lora_rank");
  mla.qk_nope_head_dim = k.required("qk_nope_head_dim");
  mla.qk_rope_head_dim = k.required("qk_rope_head_dim");
  mla.v_head_dim = k.required("v_head_dim");
  s.mla = mla;
  s.attention = AttentionKind::mla;
  s.kv_heads = s.heads;
  s.head_dim = mla.v_head_dim;
}

// Mixtral and Phi-3.5-MoE.
void read_mixtral(const Keys& k, LlmSpec& s) {
  read_attention(k, s);
  s.experts = k.count("num_local_experts");
  s.top_k = k.count("num_experts_per_tok");
  s.moe_intermediate = k.required("intermediate_size");
}

void read_olmoe(const Keys& k, LlmSpec& s) {
  read_attention(k, s);
  s.experts = k.count("num_experts");
  s.top_k = k.count("num_experts_per_tok");
  s.moe_intermediate = k.required("intermediate_size");
}

// The layers of mlp_only_layers have no experts. Published models list none; leading ones could be said in an LlmSpec.
void read_dense_list(const Keys& k, LlmSpec& s) {
  const JsonNode* list = k.find("mlp_only_layers");
  if (!list) return;
  if (list->kind != JsonKind::array) return k.fault(list, "mlp_only_layers", "must be an array");
  for (size_t i = 0; i < list->children.size(); ++i)
    if (list->children[i].text != std::to_string(i))
      return k.fault(list, "mlp_only_layers", "must be 0, 1, 2 and so on: only leading layers may be dense");
  s.dense_first = int32_t(std::min<size_t>(list->children.size(), size_t(s.layers)));
}

// Qwen1.5-MoE and Qwen2-MoE with one shared expert, Qwen3-MoE with none.
void read_qwen(const Keys& k, LlmSpec& s) {
  read_attention(k, s);
  // Both families carry the window's size but switch it off by default.
  if (!k.flag("use_sliding_window", false)) s.sliding_window.reset();
  s.experts = k.count("num_experts");
  s.top_k = k.count("num_experts_per_tok");
  s.moe_intermediate = k.required("moe_intermediate_size");
  s.shared_intermediate = k.optional("shared_expert_intermediate_size", 0);
  s.shared_experts = s.shared_intermediate > 0;
  s.moe_every = int32_t(k.integer("decoder_sparse_step", 1, count_max).value_or(1));
  read_dense_list(k, s);
  if (s.moe_every > 1 || s.dense_first > 0) s.dense_intermediate = k.required("intermediate_size");
}
void read_qwen2(const Keys& k, LlmSpec& s) {
  if (!k.find("shared_expert_intermediate_size")) k.fault(nullptr, "shared_expert_intermediate_size", "is missing");
  read_qwen(k, s);
}

// The experts of DeepSeek and of those who took its form.
void read_deepseek_experts(const Keys& k, LlmSpec& s) {
  s.experts = k.count("n_routed_experts");
  s.top_k = k.count("num_experts_per_tok");
  s.moe_intermediate = k.required("moe_intermediate_size");
  s.shared_experts = k.optional_count("n_shared_experts", 0);
  s.shared_intermediate = s.shared_experts * s.moe_intermediate;
  s.dense_first = int32_t(k.required("first_k_dense_replace", 0, count_max));
  if (s.dense_first > 0) s.dense_intermediate = k.required("intermediate_size");
  if (k.optional("moe_layer_freq", 1) != 1)
    k.fault(k.find("moe_layer_freq"), "moe_layer_freq", "must be 1: every layer behind the dense ones has experts");
  const int32_t groups = k.optional_count("n_group", 1);
  if (groups > 1) s.routing_groups = {groups, k.count("topk_group"), {}};
  s.mtp_layers = k.optional_count("num_nextn_predict_layers", 0);
}

void read_deepseek(const Keys& k, LlmSpec& s) {  // DeepSeek-MoE-16B
  read_attention(k, s);
  read_deepseek_experts(k, s);
}
void read_deepseek_mla(const Keys& k, LlmSpec& s) {  // V2, V3, R1, Kimi-K2
  read_attention(k, s);
  read_mla(k, s);
  read_deepseek_experts(k, s);
}

void read_dbrx(const Keys& k, LlmSpec& s) {
  s.layers = k.count("n_layers");
  s.hidden = k.required("d_model");
  s.heads = k.count("n_heads");
  s.kv_heads = k.inside("attn_config").required("kv_n_heads");
  s.head_dim = s.hidden / s.heads;
  s.vocab = k.required("vocab_size", 1, vocab_max);
  s.tied_embeddings = k.flag("tie_word_embeddings", false);
  const Keys ffn = k.inside("ffn_config");
  s.experts = ffn.count("moe_num_experts");
  s.top_k = ffn.count("moe_top_k");
  s.moe_intermediate = ffn.required("ffn_hidden_size");
}

void read_gpt_oss(const Keys& k, LlmSpec& s) {
  read_mixtral(k, s);
  // Its class makes layers 0, 2, 4, ... windowed; layer_types, where it is written, says the same.
  if (s.sliding_window) s.sliding_window->every = 2;
}

void read_llama4(const Keys& root, LlmSpec& s) {
  const Keys k = root.find("text_config") ? root.inside("text_config") : root;
  read_attention(k, s);
  s.experts = k.count("num_local_experts");
  s.top_k = k.count("num_experts_per_tok");
  s.moe_intermediate = k.required("intermediate_size");
  s.shared_experts = 1;
  s.shared_intermediate = s.moe_intermediate;
  s.moe_every = k.count("interleave_moe_layer_step");
  if (s.moe_every > 1) s.dense_intermediate = k.required("intermediate_size_mlp");
}

void read_longcat(const Keys& k, LlmSpec& s) {
  s.layers = k.count("num_layers");
  s.hidden = k.required("hidden_size");
  s.heads = k.count("num_attention_heads");
  s.vocab = k.required("vocab_size", 1, vocab_max);
  s.tied_embeddings = k.flag("tie_word_embeddings", false);
  read_mla(k, s);
  s.attention_blocks = 2;  // a layer is two MLA blocks and two dense FFNs around one MoE
  s.dense_ffn_per_layer = 2;
  s.dense_intermediate = k.required("ffn_hidden_size");
  s.experts = k.count("n_routed_experts");
  s.zero_experts = k.optional_count("zero_expert_num", 0);
  s.top_k = k.count("moe_topk");
  s.moe_intermediate = k.required("expert_ffn_hidden_size");
}

struct Family {
  const char* model_type;
  const char* architecture;
  void (*read)(const Keys&, LlmSpec&);
};

constexpr auto families = std::to_array<Family>({{"mixtral", "MixtralForCausalLM", read_mixtral},
                                                 {"phimoe", "PhiMoEForCausalLM", read_mixtral},
                                                 {"olmoe", "OlmoeForCausalLM", read_olmoe},
                                                 {"qwen2_moe", "Qwen2MoeForCausalLM", read_qwen2},
                                                 {"qwen3_moe", "Qwen3MoeForCausalLM", read_qwen},
                                                 {"deepseek", "DeepseekForCausalLM", read_deepseek},
                                                 {"deepseek_v2", "DeepseekV2ForCausalLM", read_deepseek_mla},
                                                 {"deepseek_v3", "DeepseekV3ForCausalLM", read_deepseek_mla},
                                                 {"kimi_k2", "KimiK2ForCausalLM", read_deepseek_mla},
                                                 {"glm4_moe", "Glm4MoeForCausalLM", read_deepseek},
                                                 {"dbrx", "DbrxForCausalLM", read_dbrx},
                                                 {"gpt_oss", "GptOssForCausalLM", read_gpt_oss},
                                                 {"llama4", "Llama4ForConditionalGeneration", read_llama4},
                                                 {"llama4_text", "Llama4ForCausalLM", read_llama4},
                                                 {"longcat_flash", "LongcatFlashForCausalLM", read_longcat}});

const Family* family_of(const std::string& model_type, const std::string& architecture) {
  for (const Family& family : families)
    if (model_type == family.model_type || architecture == family.architecture) return &family;
  return nullptr;
}

std::string text_of(const JsonNode* node) {
  return node && node->kind == JsonKind::string ? node->text : std::string();
}

std::string first_of_array(const JsonNode* node) {
  const bool has_one = node && node->kind == JsonKind::array && !node->children.empty();
  return has_one ? text_of(&node->children.front()) : std::string();
}

}  // namespace

bool is_huggingface_config(const JsonNode& root) { return root.find("model_type") || root.find("architectures"); }

std::vector<std::string> huggingface_families() {
  std::vector<std::string> names;
  for (const Family& family : families) names.push_back(family.model_type);
  return names;
}

LlmSpec read_huggingface_config(const JsonNode& root, const std::string& source, const std::string& name) {
  const std::string model_type = text_of(root.find("model_type"));
  const std::string architecture = first_of_array(root.find("architectures"));
  const Family* family = family_of(model_type, architecture);
  if (!family) {
    const std::string which = model_type.empty() ? architecture : model_type;
    throw ConfigError(source, {fault_at(root, root.find("model_type") ? "/model_type" : "/architectures",
                                        fmt::format("model family {} is not supported{}; supported are {}",
                                                    in_quotes(which), suggestion(which, huggingface_families()),
                                                    fmt::join(huggingface_families(), ", ")))});
  }
  LlmSpec llm;
  llm.name = name;
  llm.status = Status::read;
  llm.source = fmt::format("Hugging Face config.json, model_type {}", family->model_type);
  std::vector<Fault> faults;
  family->read(Keys{root, "", faults}, llm);
  if (faults.empty())  // else the numbers that stand in for missing ones would be judged
    check_fields(llm, [&](const std::string& key, const std::string& message) {
      faults.push_back({0, "", fmt::format("{} {}", key, message)});
    });
  throw_if_any(source, std::move(faults));
  return llm;
}

}  // namespace moesim
