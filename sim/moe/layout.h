// Which GPU does what: attention is data parallel over groups of tp GPUs, experts are parallel over groups of ep.
//
// GPU g belongs to attention rank g / tp (its tensor-parallel group) and is rank g % ep of expert group g / ep.
// In the MoE layers each GPU holds 1 / tp of its attention rank's tokens: a reduce-scatter follows attention and an
// all-gather comes before the next one, which together move what an all-reduce moves.
#pragma once

#include <cstdint>

#include "topologies/ids.h"

namespace moesim {

struct Layout {
  int32_t gpus = 1;
  int32_t gpus_per_node = 1;
  int32_t tp = 1;
  int32_t ep = 1;

  int32_t attention_ranks() const { return gpus / tp; }
  int32_t expert_groups() const { return gpus / ep; }
  int32_t nodes() const { return (gpus + gpus_per_node - 1) / gpus_per_node; }
  int32_t node(GpuId gpu) const { return int32_t(gpu) / gpus_per_node; }
  int32_t attention_rank(GpuId gpu) const { return int32_t(gpu) / tp; }
  int32_t tp_rank(GpuId gpu) const { return int32_t(gpu) % tp; }
  int32_t expert_rank(GpuId gpu) const { return int32_t(gpu) % ep; }
  int32_t expert_group(GpuId gpu) const { return int32_t(gpu) / ep; }
  GpuId gpu_of_expert_rank(int32_t group, int32_t rank) const { return GpuId(group * ep + rank); }
};

}  // namespace moesim
