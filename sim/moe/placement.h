// Which GPUs of an expert-parallel group host each expert. Every group of the cluster uses the same placement.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/registry.h"
#include "sim/moe/past_tokens.h"
#include "sim/moe/routing.h"

namespace moesim {

// What routed tokens cost, for placements that are judged by time. Tokens come from all GPUs of the group evenly.
struct PlacementCosts {
  std::vector<double> token_s;                // [gpu] seconds of an expert's products on one routed token
  double dispatch_bytes = 0;                  // of one routed token on its way there
  double combine_bytes = 0;                   // and back
  std::vector<double> link_s;                 // [link] seconds a byte
  std::vector<std::vector<int32_t>> path;     // [from * gpus + to] links crossed; empty from a GPU to itself
  std::vector<std::vector<double>> distance;  // [from][to] 0 the same GPU, 1 the same server, 2 another
};

// What a placement may know: the past, over all layers. GPUs are numbered within the expert-parallel group.
struct PlacementInput {
  int32_t layers = 0;
  int32_t experts = 0;
  int32_t gpus = 0;
  int32_t gpus_per_node = 0;
  int32_t slots_per_gpu = 0;                    // experts of one layer that a GPU can host
  std::vector<int32_t> slots;                   // [gpu] where GPUs differ; empty: slots_per_gpu each
  int32_t groups = 1;                           // of experts, in order, of which a token uses few (group-limited gates)
  std::vector<std::vector<int64_t>> past_load;  // [layer][expert], routed tokens
  // [part][layer][expert]: the same of parts of the past that differ, the domains of its tokens where they are known.
  // What is to come may be another mixture of them. Empty where the past is known as one.
  std::vector<std::vector<std::vector<int64_t>>> past_load_of_part;
  // [layer][expert * experts + expert of the next layer]: tokens that chose both; one entry less than there are
  // layers. Empty where the past is known as counts alone.
  std::vector<std::vector<int64_t>> transitions;
  // [layer][expert * experts + other]: tokens that chose both in this layer, symmetric, 0 on the diagonal. Empty where
  // the past is known as counts alone.
  std::vector<std::vector<int64_t>> together;
  PlacementCosts costs;  // empty where nobody gave them
  PastTokens past;       // the tokens themselves; none where the past is known as counts alone
};

// What a policy that solves integer programs says of its answer: no placement has an objective below the bound. Both
// are sums over all that was solved.
struct PlacementProof {
  std::string solver;
  double objective = 0;
  double bound = 0;
  int64_t nodes = 0;          // of all search trees
  bool wall_limited = false;  // the placement depends on how fast the machine was
  std::vector<std::string> warnings;
};

// hosts[layer][expert] lists the GPUs that have the expert's weights, at least one; a GPU with two copies is there
// twice. Where a policy also fixes the slots, physical_to_logical[layer][slot] says which expert each holds, GPU after
// GPU; else it is empty, and slots are in order of expert.
struct Placement {
  std::vector<std::vector<std::vector<GpuId>>> hosts;
  std::vector<std::vector<int32_t>> physical_to_logical;
  std::optional<PlacementProof> proof = {};  // where the policy has one
};

// What of its input a policy looks at. The rest takes time to gather, and may be left out.
enum class PlacementNeeds {
  loads,  // past_load alone
  costs,  // and the costs and the parts of the past
  pairs   // and the tables of pairs
};

struct PlacementPolicy {
  using Input = PlacementInput;
  using Decision = Placement;
  struct Traits {
    PlacementNeeds needs = PlacementNeeds::pairs;
  };
  static constexpr const char* kind = "placement";
};

// In physical_to_logical: a slot that holds no expert.
constexpr int32_t kEmptySlot = -1;

// Experts of one layer that a GPU can host, and all GPUs together.
int32_t slots_of(const PlacementInput& in, size_t gpu);
int64_t slots_total(const PlacementInput& in);

// [slot] the GPU that has it, GPU after GPU.
std::vector<GpuId> gpu_of_slots(const PlacementInput& in);

// Whether some expert has more than one host.
bool has_copies(const Placement& placement);

// CHECKs that every expert has a host, that hosts are in range, that no GPU hosts more than its slots in any layer, a
// second copy counted as another slot, and that the slots, where the placement fixes them, hold just that.
void check_placement(const Placement& placement, const PlacementInput& input);

// [expert] its GPU if experts lie in order over GPUs, each with a share of them in proportion to its slots: equal
// blocks where GPUs are alike. And the placement that does this in every layer, from which searches start.
std::vector<GpuId> contiguous_gpus(const PlacementInput& in);
Placement contiguous_placement(const PlacementInput& in);

// A placement of one copy an expert, by a function of (layer, expert).
template <class GpuOf>
Placement place_each(const PlacementInput& in, GpuOf gpu_of) {
  Placement placement;
  placement.hosts.resize(size_t(in.layers));
  for (int32_t layer = 0; layer < in.layers; ++layer)
    for (int32_t expert = 0; expert < in.experts; ++expert)
      placement.hosts[size_t(layer)].push_back({GpuId(gpu_of(layer, expert))});
  return placement;
}

}  // namespace moesim
