// Whatever rounds an algorithm takes and whoever forwards, each rank ends with what the collective promises.
#include <gtest/gtest.h>

#include <numeric>

#include "sim/comm/reduction_shards.h"
#include "tests/support/collective_case.h"
#include "tests/support/plan_player.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

// Small sizes, so that every byte can be followed; a third of them zero.
struct AllToAllCase {
  int32_t ranks = 0;
  std::vector<Bytes> bytes;
  std::vector<int32_t> nodes;
  std::vector<Bytes> node_bytes;
  NodeCopy node_copy = NodeCopy::parts;

  AllToAllInput input(bool keep_content) const { return {ranks, bytes, nodes, node_bytes, node_copy, keep_content}; }
};

AllToAllCase random_all_to_all(Rng& rng) {
  AllToAllCase c;
  c.ranks = int32_t(rng.between(1, 12));
  const size_t ranks = size_t(c.ranks);
  for (size_t pair = 0; pair < ranks * ranks; ++pair)
    c.bytes.push_back(Bytes{rng.below(3) == 0 ? 0 : rng.between(1, 30)});
  c.nodes = random_nodes(c.ranks, rng);
  c.node_copy = rng.below(2) == 0 ? NodeCopy::parts : NodeCopy::sums;
  if (rng.below(4) == 0) return c;
  const RankNodes nodes = rank_nodes(c.ranks, c.nodes);
  for (size_t rank = 0; rank < ranks; ++rank)
    for (const auto& node : nodes.ranks) {
      int64_t most = 0;
      int64_t all = 0;
      for (const int32_t other : node) {
        const size_t pair =
            c.node_copy == NodeCopy::parts ? rank * ranks + size_t(other) : size_t(other) * ranks + rank;
        most = std::max(most, c.bytes[pair].count);
        all += c.bytes[pair].count;
      }
      c.node_bytes.push_back(Bytes{rng.between(most, all)});
    }
  return c;
}

template <class Kind>
std::string with_chunks(const std::string& name, Rng& rng) {
  for (const char* const known : {"hierarchical", "node_limited", "ring"})
    if (name == known && !(name == "ring" && std::is_same_v<Kind, ReductionAlgorithm>))
      return R"({"chunks": )" + std::to_string(rng.between(1, 6)) + "}";
  return "{}";
}

// A plan must not depend on whether somebody follows it.
template <class Kind>
void expect_same_rounds(const std::string& name, typename Kind::Input input, const std::string& settings) {
  input.keep_content = true;
  const CollectivePlan followed = planned<Kind>(name, input, settings);
  input.keep_content = false;
  const CollectivePlan plain = planned<Kind>(name, input, settings);
  ASSERT_TRUE(plain.content.empty());
  ASSERT_EQ(plain.rounds.size(), followed.rounds.size());
  for (size_t round = 0; round < plain.rounds.size(); ++round) {
    ASSERT_EQ(plain.rounds[round].size(), followed.rounds[round].size());
    for (size_t t = 0; t < plain.rounds[round].size(); ++t)
      ASSERT_EQ(plain.rounds[round][t].bytes, followed.rounds[round][t].bytes);
  }
}

TEST(EveryAllToAll, DeliversEachByteOnceToWhomItIsFor) {
  for (const auto& entry : Registry<AllToAllAlgorithm>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    for_each_seed(400, [&](Rng& rng) {
      const AllToAllCase c = random_all_to_all(rng);
      const AllToAllInput input = c.input(true);
      const std::string settings = with_chunks<AllToAllAlgorithm>(entry.name, rng);
      const CollectivePlan plan = planned<AllToAllAlgorithm>(entry.name, input, settings);
      expect_content_matches(plan);
      if (testing::Test::HasFailure()) return;
      AllToAllPlayer player(input);
      player.play(plan);
      player.expect_complete();
      check_all_to_all(plan, input);
      expect_same_rounds<AllToAllAlgorithm>(entry.name, input, settings);
    });
  }
}

// Contributions before: to a sum each rank has its own to every byte; of an all-gather each has its own shard.
Contributions before(const ReductionInput& in) {
  Contributions state(size_t(in.ranks), std::vector<uint32_t>(size_t(in.bytes.count), 0));
  for (int32_t rank = 0; rank < in.ranks; ++rank) {
    const bool gather = in.reduction == Reduction::all_gather;
    const size_t begin = gather ? size_t(shard_offset(in.bytes, in.ranks, rank)) : 0;
    const size_t size = gather ? size_t(shard_bytes(in.bytes, in.ranks, rank).count) : size_t(in.bytes.count);
    std::fill_n(state[size_t(rank)].begin() + int64_t(begin), size, uint32_t{1} << rank);
  }
  return state;
}

void expect_reduced(const ReductionInput& in, const Contributions& state) {
  const uint32_t all = (uint32_t{1} << in.ranks) - 1;
  for (int32_t rank = 0; rank < in.ranks; ++rank)
    for (int32_t owner = 0; owner < in.ranks; ++owner) {
      if (in.reduction == Reduction::reduce_scatter && owner != rank) continue;
      const uint32_t whole = in.reduction == Reduction::all_gather ? uint32_t{1} << owner : all;
      const int64_t begin = shard_offset(in.bytes, in.ranks, owner);
      for (int64_t byte = begin; byte < begin + shard_bytes(in.bytes, in.ranks, owner).count; ++byte)
        ASSERT_EQ(state[size_t(rank)][size_t(byte)], whole) << "rank " << rank << " byte " << byte;
    }
}

TEST(EveryReduction, EndsWithEveryContributionOnceWhereItBelongs) {
  for (const auto& entry : Registry<ReductionAlgorithm>::instance().entries()) {
    if (entry.name == "nvls") continue;  // a switch adds up: NvlsReduction in algorithm_test.cpp has its laws
    SCOPED_TRACE(entry.name);
    for_each_seed(400, [&](Rng& rng) {
      const int32_t ranks = int32_t(rng.between(1, 13));
      const std::vector<int32_t> nodes = random_nodes(ranks, rng);
      for (const Reduction reduction : {Reduction::all_reduce, Reduction::reduce_scatter, Reduction::all_gather}) {
        const ReductionInput input{reduction, ranks, Bytes{rng.between(0, 60)}, nodes, true};
        const std::string settings = with_chunks<ReductionAlgorithm>(entry.name, rng);
        const CollectivePlan plan = planned<ReductionAlgorithm>(entry.name, input, settings);
        expect_content_matches(plan);
        if (testing::Test::HasFailure()) return;
        Contributions state = before(input);
        play_sums(plan, state);
        expect_reduced(input, state);
        expect_same_rounds<ReductionAlgorithm>(entry.name, input, settings);
      }
    });
  }
}

TEST(EveryBroadcast, BringsTheWholeBufferToAll) {
  for (const auto& entry : Registry<BroadcastAlgorithm>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    for_each_seed(400, [&](Rng& rng) {
      const int32_t ranks = int32_t(rng.between(1, 17));
      const int32_t root = int32_t(rng.between(0, ranks - 1));
      const BroadcastInput input{ranks, root, Bytes{rng.between(0, 40)}, true};
      const std::string settings = with_chunks<BroadcastAlgorithm>(entry.name, rng);
      const CollectivePlan plan = planned<BroadcastAlgorithm>(entry.name, input, settings);
      expect_content_matches(plan);
      if (testing::Test::HasFailure()) return;
      Contributions state(size_t(ranks), std::vector<uint32_t>(size_t(input.bytes.count), 0));
      state[size_t(root)].assign(size_t(input.bytes.count), 1);
      play_sums(plan, state);
      for (const auto& rank : state) EXPECT_EQ(rank, state[size_t(root)]);
      EXPECT_EQ(bytes_of(plan), (ranks - 1) * input.bytes);  // nobody gets a byte twice
      expect_same_rounds<BroadcastAlgorithm>(entry.name, input, settings);
    });
  }
}

// A block is played as a buffer of its own: pieces name their block as the source.
CollectivePlan of_block(const CollectivePlan& plan, size_t block) {
  CollectivePlan one = plan;
  for (auto& round : one.content)
    for (auto& pieces : round)
      std::erase_if(pieces, [&](const Piece& piece) { return piece.source != int32_t(block); });
  return one;
}

TEST(EverySparseCollective, MovesOnlyBlocksThatAreLackingAndAllOfThem) {
  for (const auto& entry : Registry<SparseAlgorithm>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    for_each_seed(400, [&](Rng& rng) {
      const int32_t ranks = int32_t(rng.between(1, 12));
      const std::vector<int32_t> nodes = random_nodes(ranks, rng);
      std::vector<Bytes> sizes;
      std::vector<int32_t> owner;
      std::vector<std::vector<int32_t>> replicas;
      Bytes lacking;
      for (int64_t block = rng.between(0, 8); block > 0; --block) {
        sizes.push_back(Bytes{rng.between(0, 20)});
        owner.push_back(int32_t(rng.between(0, ranks - 1)));
        std::vector<int32_t>& of_block = replicas.emplace_back();
        for (int32_t rank = 0; rank < ranks; ++rank)
          if (rng.below(2) == 0) of_block.push_back(rank);
        lacking += int64_t(of_block.size()) * sizes.back();
        if (std::count(of_block.begin(), of_block.end(), owner.back()) > 0) lacking = lacking - sizes.back();
      }
      const SparseDirection direction =
          rng.below(2) == 0 ? SparseDirection::all_gather : SparseDirection::reduce_scatter;
      const SparseInput input{direction, ranks, sizes, owner, replicas, nodes, true};
      const std::string settings = with_chunks<SparseAlgorithm>(entry.name, rng);
      const CollectivePlan plan = planned<SparseAlgorithm>(entry.name, input, settings);
      expect_content_matches(plan);
      if (testing::Test::HasFailure()) return;
      EXPECT_EQ(bytes_of(plan), lacking);
      for (size_t block = 0; block < sizes.size(); ++block) {
        const bool gather = direction == SparseDirection::all_gather;
        Contributions state(size_t(ranks), std::vector<uint32_t>(size_t(sizes[block].count), 0));
        uint32_t all = uint32_t{1} << owner[block];
        const auto give = [&](int32_t rank) {
          std::fill(state[size_t(rank)].begin(), state[size_t(rank)].end(), 1u << rank);
        };
        give(owner[block]);
        for (const int32_t replica : replicas[block]) {
          if (!gather) give(replica), all |= uint32_t{1} << replica;
        }
        play_sums(of_block(plan, block), state);
        const std::vector<uint32_t> whole(size_t(sizes[block].count), all);
        EXPECT_EQ(state[size_t(owner[block])], whole);
        if (!gather) continue;
        for (const int32_t replica : replicas[block]) EXPECT_EQ(state[size_t(replica)], whole);
      }
      expect_same_rounds<SparseAlgorithm>(entry.name, input, settings);
    });
  }
}

// One to four servers of one to six GPUs, wired in any of three ways.
Topology random_topology(Rng& rng) {
  NodeSpec node;
  node.gpus = int32_t(rng.between(1, 6));
  node.nics = int32_t(rng.between(1, node.gpus));
  if (rng.below(4) == 0) node.nvlink = Rate{};
  const int32_t servers = int32_t(rng.between(1, 4));
  const std::string per_leaf = std::to_string(rng.between(1, 3));
  if (rng.below(3) == 0) return build_topology("single-node", {1, node});
  if (rng.below(2) == 0)
    return build_topology("leaf-spine", {servers, node},
                          R"({"oversubscription": 2, "nodes_per_leaf": )" + per_leaf + "}");
  return build_topology("rail-optimised", {servers, node}, R"({"nodes_per_pod": )" + per_leaf + "}");
}

// On real wiring, shared by all flows or by none, all that a plan sends arrives, and no rank waits for ever.
TEST(EveryCollective, ArrivesOnEveryTopology) {
  for_each_seed(60, [&](Rng& rng) {
    const Topology topology = random_topology(rng);
    const int32_t ranks = int32_t(rng.between(1, int64_t(topology.gpus.size())));
    std::vector<int32_t> nodes;
    for (int32_t rank = 0; rank < ranks; ++rank) nodes.push_back(node_of(topology, GpuId{rank}));
    std::vector<Bytes> bytes;
    for (int32_t pair = 0; pair < ranks * ranks; ++pair) bytes.push_back(Bytes{rng.between(0, 1'000'000)});
    const Bytes buffer{rng.between(0, 1'000'000)};

    std::vector<CollectivePlan> plans;
    for (const auto& entry : Registry<AllToAllAlgorithm>::instance().entries())
      plans.push_back(planned<AllToAllAlgorithm>(entry.name, {ranks, bytes, nodes}));
    for (const auto& entry : Registry<ReductionAlgorithm>::instance().entries())
      plans.push_back(planned<ReductionAlgorithm>(entry.name, {Reduction::all_reduce, ranks, buffer, nodes}));
    for (const auto& entry : Registry<BroadcastAlgorithm>::instance().entries())
      plans.push_back(planned<BroadcastAlgorithm>(entry.name, {ranks, ranks - 1, buffer}));
    const std::vector<int32_t> owner = {0};
    std::vector<std::vector<int32_t>> replicas(1);
    for (int32_t rank = 0; rank < ranks; ++rank) replicas[0].push_back(rank);
    for (const auto& entry : Registry<SparseAlgorithm>::instance().entries())
      plans.push_back(planned<SparseAlgorithm>(
          entry.name, {SparseDirection::reduce_scatter, ranks, {&buffer, 1}, owner, replicas, nodes}));

    const SoftwareStack stack{.launch = 10_us, .round = 2_us, .send = 100_ns, .receive = 50_ns, .copy_rate = {}};
    for (const CollectivePlan& plan : plans)
      for (const Fidelity fidelity : {Fidelity::flow, Fidelity::ideal}) {
        const PlanRun run = run_plan(plan, ranks, topology, stack, fidelity);
        EXPECT_EQ(run.sent, bytes_of(plan));
        EXPECT_EQ(run.delivered, bytes_of(plan));
        EXPECT_GE(run.time, stack.launch);
      }
  });
}

TEST(SendReceive, IsOneMessage) {
  const CollectivePlan plan = send_receive(2, 0, 77_B);
  ASSERT_EQ(plan.rounds.size(), 1u);
  ASSERT_EQ(plan.rounds[0].size(), 1u);
  EXPECT_EQ(plan.rounds[0][0].from, 2);
  EXPECT_EQ(plan.rounds[0][0].to, 0);
  EXPECT_EQ(bytes_of(plan), 77_B);
}

}  // namespace
}  // namespace moesim
