#include "sim/comm/collective.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "sim/comm/reduction_shards.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

// The law of every all-to-all: whatever rounds it takes, rank j ends with what each rank i has for it. Without
// forwarding this means that the transfers from i to j sum to bytes[i][j].
TEST(EveryAllToAll, MovesTheWholeMatrix) {
  for (const auto& entry : Registry<AllToAllAlgorithm>::instance().entries())
    for (uint64_t seed = 0; seed < 50; ++seed) {
      SCOPED_TRACE(entry.name);
      SCOPED_TRACE(seed);
      Rng rng(seed);
      const int32_t ranks = int32_t(rng.between(1, 12));
      std::vector<Bytes> bytes(size_t(ranks) * size_t(ranks));
      for (Bytes& each : bytes) each = Bytes{rng.below(3) == 0 ? 0 : rng.between(1, 1'000'000)};
      const CollectivePlan plan = entry.decide({ranks, bytes}, entry.default_options(), rng);
      std::vector<Bytes> moved(bytes.size());
      for (const auto& round : plan.rounds)
        for (const Transfer& transfer : round) moved[size_t(transfer.from * ranks + transfer.to)] += transfer.bytes;
      for (int32_t rank = 0; rank < ranks; ++rank)
        moved[size_t(rank * ranks + rank)] = bytes[size_t(rank * ranks + rank)];
      EXPECT_EQ(moved, bytes);
    }
}

// Plays a ring or direct reduction by bytes alone: an exchange is right if every rank sends (ranks - 1) / ranks of the
// buffer in each half and receives as much, which is the lower bound for each (Patarasuk and Yuan 2009, section 3).
TEST(EveryReduction, MovesTheLeastBytesThatItCan) {
  for (const auto& entry : Registry<ReductionAlgorithm>::instance().entries())
    for (const Reduction reduction : {Reduction::all_reduce, Reduction::reduce_scatter, Reduction::all_gather})
      for (int32_t ranks = 1; ranks <= 9; ++ranks) {
        SCOPED_TRACE(entry.name);
        SCOPED_TRACE(ranks);
        const Bytes buffer{int64_t{ranks} * 1000};
        Rng rng(1);
        const CollectivePlan plan = entry.decide({reduction, ranks, buffer}, entry.default_options(), rng);
        std::vector<int64_t> sent(size_t(ranks), 0);
        std::vector<int64_t> received(size_t(ranks), 0);
        for (const auto& round : plan.rounds)
          for (const Transfer& transfer : round) {
            ASSERT_NE(transfer.from, transfer.to);
            sent[size_t(transfer.from)] += transfer.bytes.count;
            received[size_t(transfer.to)] += transfer.bytes.count;
          }
        const int64_t halves = reduction == Reduction::all_reduce ? 2 : 1;
        EXPECT_EQ(sent, std::vector<int64_t>(size_t(ranks), halves * 1000 * (ranks - 1)));
        EXPECT_EQ(received, sent);
      }
}

TEST(ReductionShards, SumToTheBuffer) {
  for (int32_t ranks = 1; ranks < 20; ++ranks) {
    Bytes sum;
    for (int32_t shard = 0; shard < ranks; ++shard) sum += shard_bytes(1'000'003_B, ranks, shard);
    EXPECT_EQ(sum, 1'000'003_B);
  }
}

// Two ranks, one transfer each way and an empty one: tasks wait for what they name, flows for nothing else.
TEST(AddCollective, MakesATaskARankAndAFlowATransferOfBytes) {
  TaskGraph graph;
  const TaskId before = add_task(graph, {StreamId{0}, kNoPool, 0, 1_us, 0});
  const CollectivePlan plan{{{{0, 1, 10_B}, {1, 0, 20_B}}, {{0, 1, 0_B}}}};
  std::vector<Member> members(2);
  members[0].after = {before};
  members[1].endpoint = EndpointId{9};
  const std::vector<uint32_t> labels = {7, 8};
  const auto last = add_collective(graph, plan, members, labels, 1);
  EXPECT_EQ(last, (std::vector<TaskId>{TaskId{3}, TaskId{4}}));
  ASSERT_EQ(graph.flows.size(), 2u);
  EXPECT_EQ(graph.flows[0].from, TaskId{1});
  EXPECT_EQ(graph.flows[0].to, TaskId{2});
  EXPECT_EQ(graph.flows[0].message.to, EndpointId{9});
  EXPECT_EQ(graph.flows[1].message.bytes, 20_B);
  EXPECT_EQ(graph.dependencies.size(), 3u);  // before -> first round of rank 0; first -> second round of both
  EXPECT_EQ(graph.tasks[4].label, 8u);
}

}  // namespace
}  // namespace moesim
