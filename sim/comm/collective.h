// Collectives as rounds of transfers between ranks. An algorithm is a policy that plans the rounds; the plan becomes
// tasks and flows of a task graph, so that every algorithm feels the same congestion.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/config/registry.h"
#include "sim/work/task_graph.h"

namespace moesim {

struct Transfer {
  int32_t from = 0;  // ranks of the collective
  int32_t to = 0;
  Bytes bytes;
};

// A rank enters a round when its part in the round before it is done: what it sent has left, what it gets has come.
struct CollectivePlan {
  std::vector<std::vector<Transfer>> rounds;
};

// All-to-all(v): rank i has bytes[i * ranks + j] for rank j. What a rank has for itself does not travel.
struct AllToAllInput {
  int32_t ranks = 0;
  std::span<const Bytes> bytes;
};

struct AllToAllAlgorithm {
  using Input = AllToAllInput;
  using Decision = CollectivePlan;
  static constexpr const char* kind = "all-to-all algorithm";
};

// All-reduce, reduce-scatter or all-gather of one buffer of `bytes` bytes over all ranks. The two halves of an
// all-reduce are a reduce-scatter and an all-gather; each moves bytes * (ranks - 1) / ranks out of every rank.
enum class Reduction { all_reduce, reduce_scatter, all_gather };

struct ReductionInput {
  Reduction reduction = Reduction::all_reduce;
  int32_t ranks = 0;
  Bytes bytes;
};

struct ReductionAlgorithm {
  using Input = ReductionInput;
  using Decision = CollectivePlan;
  static constexpr const char* kind = "reduction algorithm";
};

// Where a rank's part of a collective runs.
struct Member {
  EndpointId endpoint{};  // where its bytes leave and arrive
  StreamId stream{};
  PoolId pool = kNoPool;
  int32_t units = 0;  // SMs that the communication kernel holds; 0 where copy engines or the NIC do the work
  Duration launch;    // before its first byte leaves, in each round
  std::vector<TaskId> after;
};

// Adds the plan to the graph: one task a rank and round, one flow a transfer of at least one byte. Returns the
// last task of each rank. The key makes the flows of this collective hash to paths of their own.
std::vector<TaskId> add_collective(TaskGraph& graph, const CollectivePlan& plan, std::span<const Member> members,
                                   std::span<const uint32_t> labels, uint64_t key);

}  // namespace moesim
