#include "models/memory.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "sim/core/check.h"

namespace moesim {
namespace {

int64_t share_of(int64_t parameters, int64_t parts) { return (parameters + parts - 1) / parts; }

// KV heads are split among the GPUs, and repeated where there are fewer heads than GPUs; MLA's latent is on all.
int64_t cache_parts(const LlmSpec& llm, int32_t tensor_parallel) {
  if (llm.attention == AttentionKind::mla) return 1;
  return std::min<int64_t>(tensor_parallel, llm.kv_heads);
}

Bytes cache_bytes(const LlmSpec& llm, const MemoryShare& share) {
  Bytes total;
  for (int32_t layer = 0; layer < llm.layers; ++layer) {
    int64_t tokens = share.cached_tokens;
    if (share.cached_requests > 0) {
      const int64_t mean = (tokens + share.cached_requests - 1) / share.cached_requests;
      tokens = std::min(tokens, share.cached_requests * visible_context(llm, layer, mean));
    }
    const Bytes token = kv_bytes_per_token(llm, layer, share.precision.cache);
    total += Bytes{share_of(tokens * token.count, cache_parts(llm, share.tensor_parallel))};
  }
  return total;
}

Bytes activation_bytes(const LlmSpec& llm, const MemoryShare& share) {
  const int64_t heads = share_of(llm.heads, share.tensor_parallel);
  const int64_t qk = llm.mla ? llm.mla->qk_nope_head_dim + llm.mla->qk_rope_head_dim : llm.head_dim;
  const int64_t v = llm.mla ? llm.mla->v_head_dim : llm.head_dim;
  const int64_t kv_heads = llm.mla ? heads : share_of(llm.kv_heads, share.tensor_parallel);
  const int64_t residual = share.batch_tokens * 2 * llm.hidden;
  const int64_t attention = share.batch_tokens * (heads * (qk + v) + kv_heads * (qk + v));
  const int64_t intermediate = llm.ffn_matrices * share_of(llm.moe_intermediate, share.tensor_parallel);
  const int64_t experts = share.expert_rows * (2 * llm.hidden + intermediate);
  const int64_t dense = share.batch_tokens * llm.ffn_matrices *
                        share_of(std::max(llm.dense_intermediate, llm.shared_intermediate), share.tensor_parallel);
  return bytes_of(residual + std::max({attention, experts, dense}), Precision::bf16);
}

}  // namespace

MemoryUse memory_use(const LlmSpec& llm, const MemoryShare& share) {
  CHECK(share.tensor_parallel > 0);
  CHECK(share.experts >= 0);
  CHECK(share.cached_tokens >= 0);
  CHECK(share.batch_tokens >= 0);
  CHECK(share.expert_rows >= 0);
  const int32_t parts = share.tensor_parallel;
  int64_t attention = 0;
  int64_t dense = 0;
  int64_t routers = 0;
  for (int32_t layer = 0; layer < llm.layers; ++layer) {
    attention += share_of(attention_parameters(llm, layer), parts);
    dense += share_of(dense_parameters(llm, layer), parts);
    routers += router_parameters(llm, layer);
  }
  MemoryUse use;
  use.attention = bytes_of(attention, share.precision.attention);
  use.dense = bytes_of(dense, share.precision.dense) + bytes_of(routers, Precision::bf16);
  use.shared = bytes_of(moe_layers(llm) * share_of(shared_parameters(llm), parts), share.precision.dense);
  use.experts = bytes_of(share.experts * share_of(expert_parameters(llm), parts), share.precision.experts);
  use.embeddings = bytes_of(share_of(embedding_parameters(llm), parts), Precision::bf16);
  use.cache = cache_bytes(llm, share);
  use.activations = activation_bytes(llm, share);
  return use;
}

std::string describe(const MemoryUse& use) {
  std::array kinds{std::pair{"weights of routed experts", use.experts},
                   std::pair{"keys and values", use.cache},
                   std::pair{"attention weights", use.attention},
                   std::pair{"embeddings", use.embeddings},
                   std::pair{"weights of shared experts", use.shared},
                   std::pair{"dense FFN and router weights", use.dense},
                   std::pair{"activations", use.activations}};
  std::sort(kinds.begin(), kinds.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : std::string_view(a.first) < b.first;
  });
  std::string text;
  for (const auto& [name, bytes] : kinds) {
    if (bytes.count == 0) continue;
    text += fmt::format("{}{} {:.2f} GiB", text.empty() ? "" : ", ", name, double(bytes.count) / double(1 << 30));
  }
  return text;
}

}  // namespace moesim
