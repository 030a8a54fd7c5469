// Which GPUs of an expert-parallel group host each expert. Every group of the cluster uses the same placement.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/config/registry.h"
#include "sim/moe/routing.h"

namespace moesim {

// What a placement may know: the past, over all layers. GPUs are numbered within the expert-parallel group.
struct PlacementInput {
  int32_t layers = 0;
  int32_t experts = 0;
  int32_t gpus = 0;
  int32_t gpus_per_node = 0;
  int32_t slots_per_gpu = 0;                    // experts of one layer that a GPU can host
  std::vector<std::vector<int64_t>> past_load;  // [layer][expert], routed tokens
};

// hosts[layer][expert] lists the GPUs that have the expert's weights, at least one.
struct Placement {
  std::vector<std::vector<std::vector<GpuId>>> hosts;
};

struct PlacementPolicy {
  using Input = PlacementInput;
  using Decision = Placement;
  static constexpr const char* kind = "placement";
};

// CHECKs that every expert has distinct hosts in range and that no GPU hosts more than its slots in any layer.
void check_placement(const Placement& placement, const PlacementInput& input);

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
