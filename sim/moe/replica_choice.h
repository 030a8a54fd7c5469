// How the tokens of an expert that several GPUs have are split over its copies.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/config/registry.h"
#include "sim/moe/routing.h"

namespace moesim {

// One layer of one expert-parallel group, whose GPUs are numbered from 0. Copies are numbered expert after expert, as
// the placement lists their hosts.
struct ReplicaInput {
  std::span<const int32_t> node;                 // [gpu] its server
  std::span<const std::vector<GpuId>> hosts;     // [expert]
  std::span<const int64_t> past_load;            // [expert] as the placement knew it; empty: not known
  std::span<const std::vector<int64_t>> routed;  // [gpu][expert] tokens that it holds now and that chose the expert
};

// share[gpu][copy]: part of the GPU's tokens for the copy's expert that go to this copy; those of an expert sum to 1.
// One row stands for all GPUs where they do the same.
struct ReplicaShares {
  std::vector<std::vector<double>> share;

  const std::vector<double>& of(size_t gpu) const { return share[share.size() == 1 ? 0 : gpu]; }
};

struct ReplicaPolicy {
  using Input = ReplicaInput;
  using Decision = ReplicaShares;
  static constexpr const char* kind = "replica choice";
};

// [expert] the number of its first copy, and behind the last how many there are.
std::vector<size_t> first_copies(std::span<const std::vector<GpuId>> hosts);

// CHECKs that there is a row for all or one a GPU, and that shares are not negative and sum to 1.
void check_shares(const ReplicaShares& shares, const ReplicaInput& in);

}  // namespace moesim
