// The task graph of one step: every operation of the schedule on every GPU, with its time and its traffic.
#pragma once

#include <cstdint>
#include <vector>

#include "models/cost_model.h"
#include "models/llm.h"
#include "sim/comm/collective.h"
#include "sim/moe/batch.h"
#include "sim/moe/coherence.h"
#include "sim/moe/layout.h"
#include "sim/moe/operation_cost.h"
#include "sim/moe/placement.h"
#include "sim/moe/schedule.h"
#include "sim/moe/traffic.h"
#include "sim/work/task_graph.h"

namespace moesim {

// What a task is, as its label says it.
struct TaskLabel {
  Operation operation{};
  int32_t layer = 0;
  int32_t part = 0;
};
constexpr uint32_t pack(TaskLabel label) {
  return uint32_t(label.operation) | uint32_t(label.layer) << 4 | uint32_t(label.part) << 20;
}
constexpr TaskLabel unpack_label(uint32_t packed) {
  return {Operation(packed & 0xF), int32_t(packed >> 4 & 0xFFFF), int32_t(packed >> 20)};
}
static_assert(kOperations <= 16);

// Streams and processor pools of the cluster: each GPU has kLanes streams and one pool, its SMs.
constexpr StreamId stream_of(GpuId gpu, Lane lane) { return StreamId(int32_t(gpu) * int32_t(kLanes) + int32_t(lane)); }
constexpr PoolId pool_of(GpuId gpu) { return PoolId(int32_t(gpu)); }

// How collectives run.
struct CommunicationModel {
  PolicyChoice<AllToAllAlgorithm> all_to_all;
  PolicyChoice<ReductionAlgorithm> reduction;
  TokenCopies token_copies = TokenCopies::per_gpu;
  PolicyChoice<ReplicaPolicy> replica_choice{"even"};
  std::vector<std::vector<int64_t>> past_load;  // [MoE layer][expert] for the replica choice; may be empty
  int32_t sms = 0;
  SoftwareStack stack;
  Bytes dispatch_token;  // one token on its way to an expert
  Bytes combine_token;
  std::vector<EndpointId> endpoints;      // [gpu]
  std::vector<EndpointId> nic_endpoints;  // [gpu] as Member has them
};

// What it costs to predict tokens and to hand them out in another order. Each GPU of a tensor-parallel group predicts
// all tokens of the group, so that none need be told the order.
struct ShuffleCosts {
  std::vector<int64_t> lookups;  // [MoE layer] table entries that a token's prediction reads; empty: no shuffling
  double overhead = 0;           // of a reduce-scatter or all-gather in another order, part of its bytes
};

inline const ShuffleCosts kNoShuffle;
inline const CoherentStep kNotCoherent;

struct StepInput {
  const StepModel& model;
  const Batch& batch;
  const StepRouting& routing;
  const Placement& placement;
  const Schedule& schedule;
  const CommunicationModel& communication;
  const ShuffleCosts& shuffle = kNoShuffle;
  const CoherentStep& coherent = kNotCoherent;  // empty but where tokens compute attention where they are
  // Somebody else does the work of `experts`, and of shared experts. Where launches are eager the host's part is a task
  // too, in the host's lane: it launches nothing else before it is done.
  bool experts_outside = false;
};

struct StepGraph {
  TaskGraph graph;
  std::vector<LayerTraffic> traffic;  // [MoE layer], all parts together
  Bytes payload;                      // what the collectives send; what they forward counts each time
};

// The random numbers serve collective algorithms and the choice of paths.
StepGraph build_step(const StepInput& in, Rng& rng);

}  // namespace moesim
