// Which experts each GPU hosts, as the traffic of a layer lists them.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/moe/layout.h"
#include "sim/moe/offload/cache.h"
#include "sim/moe/placement.h"

namespace moesim {

struct HostedExperts {
  int32_t layers = 0;   // MoE layers
  int32_t experts = 0;  // of a layer
  // [expert rank][MoE layer] rising; one that a GPU has twice is there twice.
  std::vector<std::vector<std::vector<int32_t>>> of_rank;

  const std::vector<int32_t>& of(const Layout& layout, GpuId gpu, int32_t layer) const {
    return of_rank[size_t(layout.expert_rank(gpu))][size_t(layer)];
  }
  ExpertItem item(int32_t layer, int32_t expert) const { return layer * experts + expert; }
};

HostedExperts hosted_experts(const Placement& placement, int32_t ranks, int32_t experts);

}  // namespace moesim
