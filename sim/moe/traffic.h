// Where the tokens of a MoE layer go: from the GPU that holds a token to the GPUs that host its experts.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sim/moe/layout.h"
#include "sim/moe/placement.h"
#include "sim/moe/replica_choice.h"

namespace moesim {

// How often a token travels to a GPU that hosts several of its experts. Real dispatchers (DeepEP, SGLang, vLLM with
// DeepEP) send one copy to each GPU, and get one partial sum back.
enum class TokenCopies { per_gpu, per_expert };

constexpr auto enum_names(TokenCopies) {
  return std::to_array<std::pair<TokenCopies, const char*>>(
      {{TokenCopies::per_gpu, "per_gpu"}, {TokenCopies::per_expert, "per_expert"}});
}

// copies[from * gpus + to]: token copies that GPU `from` sends to GPU `to`, those for itself included.
// node_copies[from * nodes + node]: copies if one travels to each server and parts there, its own server included.
// rows[gpu]: tokens that each expert hosted there computes, in order of expert; zeros included.
struct LayerTraffic {
  std::vector<int64_t> copies;
  std::vector<int64_t> node_copies;
  std::vector<std::vector<int64_t>> rows;
  // As copies and node_copies, of what combine brings back: from the GPU where the token will be. Empty where it stays,
  // and combine is dispatch reversed.
  std::vector<int64_t> combine_copies{};
  std::vector<int64_t> combine_node_copies{};
  int64_t assignments = 0;  // (token, expert) pairs computed
  int64_t local = 0;        // of them, those computed on the GPU that holds the token; 0 where only counts are known
  int64_t dropped = 0;      // choices that reach no expert
};

// How a token's GPU is chosen among those that have its expert. The past load may be empty. Where results do not return
// to the GPU that held the token, next_gpu[token] sums them and holds it next.
struct CopyRule {
  const PolicyChoice<ReplicaPolicy>& choice;
  std::span<const int64_t> past_load;      // [expert] of the layer
  std::span<const int32_t> next_gpu = {};  // [token]
};

// Traffic of part `part` of `parts` of each GPU's tokens. A token's expert is looked for in its own expert-parallel
// group. The shares of copies, which a policy decides on for all parts at once, are met as closely as whole tokens can.
// CHECKs that no choice is lost. Without a rule copies share evenly, as they do where only counts are known.
LayerTraffic layer_traffic(const StepRouting& routing, const Placement& placement, const Layout& layout,
                           TokenCopies copies, int32_t moe_layer, int32_t part, int32_t parts, const CopyRule& rule,
                           Rng& rng);
LayerTraffic layer_traffic(const StepRouting& routing, const Placement& placement, const Layout& layout,
                           TokenCopies copies, int32_t moe_layer, int32_t part, int32_t parts);

// The same where only counts are known: a GPU's part of each count, spread evenly over the expert's hosts. CHECKs that
// copies are per_expert, as nobody knows which choices belong to one token.
LayerTraffic traffic_of_counts(const StepRouting& routing, const Placement& placement, const Layout& layout,
                               TokenCopies copies, int32_t moe_layer, int32_t part, int32_t parts);

}  // namespace moesim
