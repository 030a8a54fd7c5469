// Collectives as rounds of transfers between ranks. An algorithm is a policy that plans the rounds; the plan becomes
// tasks and flows of a task graph, so that every algorithm feels the same congestion.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/comm/software_stack.h"
#include "sim/config/registry.h"
#include "sim/work/task_graph.h"

namespace moesim {

struct Transfer {
  int32_t from = 0;  // ranks of the collective
  int32_t to = 0;
  Bytes bytes;
  bool passes_on = false;  // what `from` got in the round before: the copy that it keeps is sent on in the same pass
};

// A part of what a transfer carries, so that tests and reports can follow each byte. In an all-to-all it is a range of
// what rank `source` has for rank `destination`; where that is ranks + k, a range of the one copy of what it has for
// the k-th node. In a reduction or a broadcast it is a range of the buffer, in a sparse collective of block `source`.
struct Piece {
  int32_t source = 0;
  int32_t destination = 0;
  int64_t offset = 0;
  Bytes bytes;
  bool adds = false;  // the receiver adds it to its own; otherwise it replaces
};

// A rank enters a round when its part in the round before it is done: what it sent has left, what it gets has come.
struct CollectivePlan {
  std::vector<std::vector<Transfer>> rounds{};
  Bytes message_max{};          // a transfer of more bytes goes as several messages of at most this; 0: as one
  Duration message_send{};      // of each message at its sender, beside what the software stack takes
  bool point_to_point = false;  // made of sends and receives between pairs, not by a kernel of its own
  Bytes own{};                  // that a rank copies or adds of its own buffer beside what it sends and receives
  bool by_nic = false;          // transfers leave through the NICs, between ranks of one node too
  // [round][transfer], which is all that the transfer carries. Empty unless the input asked for it.
  std::vector<std::vector<std::vector<Piece>>> content{};
};

// What all transfers of the plan carry. An algorithm that forwards sends a byte more than once.
Bytes bytes_of(const CollectivePlan& plan);

// With one copy a node: whether it parts there towards several ranks, or several ranks' parts are summed into it.
enum class NodeCopy { parts, sums };

// All-to-all(v): rank i has bytes[i * ranks + j] for rank j. What a rank has for itself does not travel.
struct AllToAllInput {
  int32_t ranks = 0;
  std::span<const Bytes> bytes{};
  // The node of each rank, by any numbers: nodes count in the order in which they first occur. Empty: one node.
  std::span<const int32_t> node_of_rank{};
  // [rank * nodes + node]: what rank has for (or, for sums, gets from) the ranks of that node when it travels once for
  // all of them; at least as much as for any one and at most as for all. Empty: as for all, nothing is in common.
  std::span<const Bytes> node_bytes{};
  NodeCopy node_copy = NodeCopy::parts;
  bool keep_content = false;
};

struct AllToAllAlgorithm {
  using Input = AllToAllInput;
  using Decision = CollectivePlan;
  static constexpr const char* kind = "all-to-all algorithm";
};

// CHECKs what holds of every plan, forwarding or not: each rank gets at least what all others have for it; where sums
// travel, each sends at least what it has for others.
void check_all_to_all(const CollectivePlan& plan, const AllToAllInput& input);

// All-reduce, reduce-scatter or all-gather of one buffer of `bytes` bytes over all ranks. The two halves of an
// all-reduce are a reduce-scatter and an all-gather; each moves bytes * (ranks - 1) / ranks out of every rank.
enum class Reduction { all_reduce, reduce_scatter, all_gather };

struct ReductionInput {
  Reduction reduction = Reduction::all_reduce;
  int32_t ranks = 0;
  Bytes bytes;
  std::span<const int32_t> node_of_rank{};  // as in AllToAllInput
  bool keep_content = false;
};

struct ReductionAlgorithm {
  using Input = ReductionInput;
  using Decision = CollectivePlan;
  static constexpr const char* kind = "reduction algorithm";
};

// One buffer of rank `root` to all others.
struct BroadcastInput {
  int32_t ranks = 0;
  int32_t root = 0;
  Bytes bytes;
  bool keep_content = false;
};

struct BroadcastAlgorithm {
  using Input = BroadcastInput;
  using Decision = CollectivePlan;
  static constexpr const char* kind = "broadcast algorithm";
};

// Sparse collectives of FSSDP (Hecate): each block (the state of an expert) has an owner, and other ranks that hold it
// for a while. A sparse all-gather brings it to those who lack it; a sparse reduce-scatter brings their sums back.
enum class SparseDirection { all_gather, reduce_scatter };

struct SparseInput {
  SparseDirection direction = SparseDirection::all_gather;
  int32_t ranks = 0;
  std::span<const Bytes> block_bytes{};              // [block]
  std::span<const int32_t> owner{};                  // [block]
  std::span<const std::vector<int32_t>> replicas{};  // [block] distinct ranks; the owner among them lacks nothing
  std::span<const int32_t> node_of_rank{};           // as in AllToAllInput
  bool keep_content = false;
};

struct SparseAlgorithm {
  using Input = SparseInput;
  using Decision = CollectivePlan;
  static constexpr const char* kind = "sparse collective algorithm";
};

// Point to point: one message. There is nothing to choose, hence no registry.
CollectivePlan send_receive(int32_t from, int32_t to, Bytes bytes);

// Where a rank's part of a collective runs.
struct Member {
  EndpointId endpoint{};      // where its bytes leave and arrive
  EndpointId nic_endpoint{};  // ... where a plan goes by NIC
  StreamId stream{};
  PoolId pool = kNoPool;
  int32_t units = 0;  // SMs that the communication kernel holds; 0 where copy engines or the NIC do the work
  SoftwareStack stack;
  std::vector<TaskId> after;
};

// Adds the plan to the graph: one task a rank and round, one flow a transfer of at least one byte, and, where receiving
// takes time, one more task for each rank that gets something in the last round. Returns the last task of each rank.
// The key makes the flows of this collective hash to paths of their own.
std::vector<TaskId> add_collective(TaskGraph& graph, const CollectivePlan& plan, std::span<const Member> members,
                                   std::span<const uint32_t> labels, uint64_t key);

}  // namespace moesim
