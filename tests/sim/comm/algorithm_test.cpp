// What is particular to single algorithms: message sizes, link loads, hand-made cases.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/collective_case.h"

namespace moesim {
namespace {

struct Loads {
  std::vector<int64_t> sent;
  std::vector<int64_t> received;
};

Loads loads_of(const CollectivePlan& plan, int32_t ranks) {
  Loads loads{std::vector<int64_t>(size_t(ranks), 0), std::vector<int64_t>(size_t(ranks), 0)};
  for (const auto& round : plan.rounds)
    for (const Transfer& transfer : round) {
      loads.sent[size_t(transfer.from)] += transfer.bytes.count;
      loads.received[size_t(transfer.to)] += transfer.bytes.count;
    }
  return loads;
}

bool are_equal(const Transfer& a, const Transfer& b) { return a.from == b.from && a.to == b.to && a.bytes == b.bytes; }

void expect_round(const std::vector<Transfer>& round, const std::vector<Transfer>& expected) {
  ASSERT_EQ(round.size(), expected.size());
  for (const Transfer& transfer : expected)
    EXPECT_TRUE(std::any_of(round.begin(), round.end(), [&](const Transfer& t) { return are_equal(t, transfer); }))
        << transfer.from << " -> " << transfer.to << ": " << transfer.bytes.count;
}

// n = 16 ranks, m = 4 of a node, S = 16 x 240 bytes a rank. Inside nodes each rank sends m - 1 messages of S / m = 960,
// across nodes n / m - 1 of S m / n = 960, where the direct one sends n - 1 of S / n = 240 (Tutel, arXiv 2206.03382).
// With m = 2: S / m = 1920 and S m / n = 480.
TEST(HierarchicalAllToAll, HasTheMessageSizesOfTutel) {
  for (const auto& [m, inside, across] : {std::tuple(4, 960, 960), std::tuple(2, 1920, 480)}) {
    const int32_t n = 16;
    const std::vector<Bytes> bytes(size_t(n) * size_t(n), Bytes{240});
    std::vector<int32_t> nodes;
    for (int32_t rank = 0; rank < n; ++rank) nodes.push_back(rank / m);
    const CollectivePlan plan = planned<AllToAllAlgorithm>("hierarchical", {n, bytes, nodes});
    ASSERT_EQ(plan.rounds.size(), 2u);
    EXPECT_EQ(plan.rounds[0].size(), size_t(n * (m - 1)));
    for (const Transfer& transfer : plan.rounds[0]) {
      EXPECT_EQ(transfer.bytes.count, inside);
      EXPECT_EQ(transfer.from / m, transfer.to / m);
    }
    EXPECT_EQ(plan.rounds[1].size(), size_t(n * (n / m - 1)));
    for (const Transfer& transfer : plan.rounds[1]) {
      EXPECT_EQ(transfer.bytes.count, across);
      EXPECT_NE(transfer.from / m, transfer.to / m);
      EXPECT_EQ(transfer.from % m, transfer.to % m);
    }
  }
}

// What a ring passes on came in the round before; what is first sent did not.
TEST(RingReduction, PassesOnWhatCameInTheRoundBefore) {
  for (const Reduction reduction : {Reduction::all_reduce, Reduction::reduce_scatter, Reduction::all_gather})
    for (const int32_t ranks : {2, 3, 5}) {
      const CollectivePlan plan = planned<ReductionAlgorithm>("ring", {reduction, ranks, Bytes{100 * ranks}, {}, true});
      std::vector<int64_t> came(size_t(ranks), -1);  // the offset of the shard that each rank got last
      for (size_t round = 0; round < plan.rounds.size(); ++round) {
        std::vector<int64_t> comes(size_t(ranks), -1);
        for (size_t t = 0; t < plan.rounds[round].size(); ++t) {
          const Transfer& transfer = plan.rounds[round][t];
          const int64_t offset = plan.content[round][t].at(0).offset;
          EXPECT_EQ(transfer.passes_on, came[size_t(transfer.from)] == offset);
          EXPECT_EQ(transfer.passes_on, round > 0);
          comes[size_t(transfer.to)] = offset;
        }
        came = comes;
      }
      EXPECT_EQ(plan.own, reduction == Reduction::all_reduce ? 0_B : 100_B);
    }
}

// Which bytes of whom each rank ends with, in order: the permutation of an all-to-all.
std::vector<std::vector<std::pair<int32_t, int64_t>>> permutation(const CollectivePlan& plan, int32_t ranks) {
  std::vector<std::vector<std::pair<int32_t, int64_t>>> ends(static_cast<size_t>(ranks));
  for (size_t round = 0; round < plan.rounds.size(); ++round)
    for (size_t t = 0; t < plan.rounds[round].size(); ++t)
      for (const Piece& piece : plan.content[round][t])
        if (piece.destination == plan.rounds[round][t].to)
          for (int64_t byte = 0; byte < piece.bytes.count; ++byte)
            ends[size_t(piece.destination)].emplace_back(piece.source, piece.offset + byte);
  for (auto& rank : ends) std::sort(rank.begin(), rank.end());
  return ends;
}

TEST(HierarchicalAllToAll, PermutesAsTheDirectOneDoes) {
  const int32_t n = 12;
  Rng rng(5);
  std::vector<Bytes> bytes;
  for (int32_t pair = 0; pair < n * n; ++pair) bytes.push_back(Bytes{rng.between(0, 9)});
  std::vector<int32_t> nodes;
  for (int32_t rank = 0; rank < n; ++rank) nodes.push_back(rank / 4);
  const AllToAllInput input{n, bytes, nodes, {}, NodeCopy::parts, true};
  const auto direct = permutation(planned<AllToAllAlgorithm>("direct", input), n);
  EXPECT_EQ(permutation(planned<AllToAllAlgorithm>("hierarchical", input), n), direct);
  EXPECT_EQ(permutation(planned<AllToAllAlgorithm>("hierarchical", input, R"({"chunks": 3})"), n), direct);
}

// Ranks 0 and 1 on one node, 2 and 3 on another. Rank 0 has 30 bytes for rank 2 and 50 for rank 3, of which 20 are the
// same tokens: 60 travel to rank 2, the rank of its place, and 50 from there to rank 3. What rank 1 has for rank 2, 7
// bytes, goes over rank 3. Back: 50 from rank 3 to rank 2, and one sum of 60 to rank 0.
TEST(NodeLimitedAllToAll, SendsOneCopyANodeAndOneSumBack) {
  const std::vector<int32_t> nodes = {0, 0, 1, 1};
  std::vector<Bytes> bytes(16);
  bytes[0 * 4 + 2] = 30_B;
  bytes[0 * 4 + 3] = 50_B;
  bytes[1 * 4 + 2] = 7_B;
  bytes[2 * 4 + 3] = 9_B;
  std::vector<Bytes> once(8);
  once[0 * 2 + 1] = 60_B;
  once[1 * 2 + 1] = 7_B;
  once[2 * 2 + 1] = 9_B;
  const std::string whole = R"({"chunks": 1})";
  const CollectivePlan there =
      planned<AllToAllAlgorithm>("node_limited", {4, bytes, nodes, once, NodeCopy::parts}, whole);
  ASSERT_EQ(there.rounds.size(), 2u);
  expect_round(there.rounds[0], {{0, 2, 60_B}, {1, 3, 7_B}, {2, 3, 9_B}});
  expect_round(there.rounds[1], {{2, 3, 50_B}, {3, 2, 7_B}});

  std::vector<Bytes> results(16);
  for (size_t from = 0; from < 4; ++from)
    for (size_t to = 0; to < 4; ++to) results[to * 4 + from] = bytes[from * 4 + to];
  const CollectivePlan back =
      planned<AllToAllAlgorithm>("node_limited", {4, results, nodes, once, NodeCopy::sums}, whole);
  ASSERT_EQ(back.rounds.size(), 2u);
  expect_round(back.rounds[0], {{3, 2, 50_B}, {2, 3, 7_B}});
  expect_round(back.rounds[1], {{2, 0, 60_B}, {3, 1, 7_B}, {3, 2, 9_B}});
}

// Four chunks of 40 and 20 bytes: in round k the k-th ten bytes cross, and half of the ones before are passed on.
TEST(NodeLimitedAllToAll, PassesOnWhileTheNextChunkArrives) {
  const std::vector<int32_t> nodes = {0, 1, 1};
  std::vector<Bytes> bytes(9);
  bytes[1] = 40_B;
  bytes[2] = 20_B;
  const std::vector<Bytes> once = {0_B, 40_B, 0_B, 0_B, 0_B, 0_B};
  const CollectivePlan plan = planned<AllToAllAlgorithm>("node_limited", {3, bytes, nodes, once, NodeCopy::parts});
  ASSERT_EQ(plan.rounds.size(), 5u);
  expect_round(plan.rounds[0], {{0, 1, 10_B}});
  for (size_t round = 1; round < 4; ++round) expect_round(plan.rounds[round], {{0, 1, 10_B}, {1, 2, 5_B}});
  expect_round(plan.rounds[4], {{1, 2, 5_B}});
}

TEST(NodeLimitedAllToAll, RefusesCopiesThatCannotBe) {
  const std::vector<int32_t> nodes = {0, 1, 1};
  std::vector<Bytes> bytes(9);
  bytes[1] = 40_B;
  bytes[2] = 20_B;
  for (const int64_t count : {39, 61}) {
    const std::vector<Bytes> once = {0_B, Bytes{count}, 0_B, 0_B, 0_B, 0_B};
    EXPECT_THROW(planned<AllToAllAlgorithm>("node_limited", {3, bytes, nodes, once, NodeCopy::parts}), InternalError);
  }
}

// An all-reduce of S bytes on m GPUs of one node: with a switch that sums and copies, S (1 + 1 / m) over each link each
// way; around a ring 2 S (m - 1) / m. Across n / m nodes each GPU exchanges n / m - 1 shards of S / n twice more.
TEST(NvlsReduction, LoadsEachLinkByTheBuffersThatTheSwitchSees) {
  const Bytes buffer{8'000};
  const ReductionInput one{Reduction::all_reduce, 8, buffer};
  const Loads nvls = loads_of(planned<ReductionAlgorithm>("nvls", one), 8);
  EXPECT_EQ(nvls.sent, std::vector<int64_t>(8, 9'000));
  EXPECT_EQ(nvls.received, nvls.sent);
  EXPECT_EQ(loads_of(planned<ReductionAlgorithm>("ring", one), 8).sent, std::vector<int64_t>(8, 14'000));

  const std::vector<int32_t> nodes = {0, 0, 0, 0, 1, 1, 1, 1};
  for (const auto& [reduction, bytes] :
       {std::pair(Reduction::all_reduce, 2 * (8'000 + 1'000)), std::pair(Reduction::reduce_scatter, 8'000 + 1'000),
        std::pair(Reduction::all_gather, 8'000 + 1'000)}) {
    const Loads two = loads_of(planned<ReductionAlgorithm>("nvls", {reduction, 8, buffer, nodes}), 8);
    EXPECT_EQ(two.sent, std::vector<int64_t>(8, bytes));
    EXPECT_EQ(two.received, two.sent);
  }
}

TEST(NvlsReduction, TakesAnyGroup) {
  for (int32_t ranks = 1; ranks < 12; ++ranks)
    for (const int32_t per_node : {1, 2, 3, 8}) {
      std::vector<int32_t> nodes;
      for (int32_t rank = 0; rank < ranks; ++rank) nodes.push_back(rank / per_node);
      const CollectivePlan plan = planned<ReductionAlgorithm>("nvls", {Reduction::all_reduce, ranks, 1'001_B, nodes});
      EXPECT_EQ(bytes_of(plan) == Bytes{}, ranks == 1);
    }
}

// An exchange and a ring send what is least for any reduction, for any number of ranks: (ranks - 1) / ranks of the
// buffer out of each and into each, in each half (Patarasuk and Yuan 2009, section 3).
TEST(DirectAndRingReduction, MoveTheLeastBytesThatTheyCan) {
  for (const char* name : {"direct", "ring"})
    for (const Reduction reduction : {Reduction::all_reduce, Reduction::reduce_scatter, Reduction::all_gather})
      for (int32_t ranks = 1; ranks <= 9; ++ranks) {
        SCOPED_TRACE(testing::Message() << name << ", " << ranks << " ranks");
        const ReductionInput input{reduction, ranks, Bytes{int64_t{ranks} * 1000}};
        const CollectivePlan plan = planned<ReductionAlgorithm>(name, input);
        for (const auto& round : plan.rounds)
          for (const Transfer& transfer : round) ASSERT_NE(transfer.from, transfer.to);
        const int64_t halves = reduction == Reduction::all_reduce ? 2 : 1;
        const Loads loads = loads_of(plan, ranks);
        EXPECT_EQ(loads.sent, std::vector<int64_t>(size_t(ranks), halves * 1000 * (ranks - 1)));
        EXPECT_EQ(loads.received, loads.sent);
      }
}

// Rings, and exchanges inside and across nodes, send what is least for any reduction: (n - 1) / n of the buffer out of
// each rank and into it, in each half (Patarasuk and Yuan 2009, section 3). Only one sum a node and shard crosses.
TEST(HierarchicalReduction, SendsTheLeastAndLessAcrossNodes) {
  const std::vector<int32_t> nodes = {0, 0, 0, 0, 1, 1, 1, 1};
  for (const Reduction reduction : {Reduction::reduce_scatter, Reduction::all_gather}) {
    const ReductionInput input{reduction, 8, 8'000_B, nodes};
    int64_t across[2] = {0, 0};
    const std::string names[2] = {"hierarchical", "direct"};
    for (size_t i = 0; i < 2; ++i) {
      const CollectivePlan plan = planned<ReductionAlgorithm>(names[i], input);
      EXPECT_EQ(loads_of(plan, 8).sent, std::vector<int64_t>(8, 7'000));
      EXPECT_EQ(loads_of(plan, 8).received, std::vector<int64_t>(8, 7'000));
      for (const auto& round : plan.rounds)
        for (const Transfer& transfer : round)
          if (transfer.from / 4 != transfer.to / 4) across[i] += transfer.bytes.count;
    }
    EXPECT_EQ(across[0], 8 * 1'000);      // each shard once
    EXPECT_EQ(across[1], 8 * 4 * 1'000);  // each shard from or to the four ranks of the other node
  }
}

// Blocks of 5 and 7 bytes, owned by ranks 0 and 1 of node 0; ranks 2 and 3 of node 1 are to hold both, rank 1 the first
// as well. Direct crosses nodes twice for each block, hierarchical once.
TEST(HierarchicalSparseCollective, CrossesToANodeOnce) {
  const std::vector<Bytes> sizes = {5_B, 7_B};
  const std::vector<int32_t> owner = {0, 1};
  const std::vector<std::vector<int32_t>> replicas = {{1, 2, 3}, {1, 2, 3}};
  const std::vector<int32_t> nodes = {0, 0, 1, 1};
  const SparseInput input{SparseDirection::all_gather, 4, sizes, owner, replicas, nodes};
  const CollectivePlan plan = planned<SparseAlgorithm>("hierarchical", input);
  ASSERT_EQ(plan.rounds.size(), 2u);
  expect_round(plan.rounds[0], {{0, 2, 5_B}, {1, 3, 7_B}});
  expect_round(plan.rounds[1], {{0, 1, 5_B}, {2, 3, 5_B}, {3, 2, 7_B}});
  const CollectivePlan direct = planned<SparseAlgorithm>("direct", input);
  ASSERT_EQ(direct.rounds.size(), 1u);
  expect_round(direct.rounds[0], {{0, 1, 5_B}, {0, 2, 5_B}, {0, 3, 5_B}, {1, 2, 7_B}, {1, 3, 7_B}});
}

}  // namespace
}  // namespace moesim
