#include "sim/moe/migration.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/placement_case.h"

namespace moesim {
namespace {

// One layer of experts on these GPUs.
Placement placed(const std::vector<std::vector<int32_t>>& hosts) {
  Placement placement;
  placement.hosts.emplace_back();
  for (const std::vector<int32_t>& gpus : hosts) {
    placement.hosts[0].emplace_back();
    for (const int32_t gpu : gpus) placement.hosts[0].back().push_back(GpuId(gpu));
  }
  return placement;
}

constexpr Layout kTwoServers{.gpus = 4, .gpus_per_node = 2, .tp = 1, .ep = 4};

// Counted in another way than the code does: members of one set that are not in the other.
int64_t copies_that_are_new(const Placement& before, const Placement& after) {
  int64_t copies = 0;
  for (size_t layer = 0; layer < after.hosts.size(); ++layer)
    for (size_t expert = 0; expert < after.hosts[layer].size(); ++expert) {
      std::set<GpuId> new_hosts(after.hosts[layer][expert].begin(), after.hosts[layer][expert].end());
      for (const GpuId had : before.hosts[layer][expert]) new_hosts.erase(had);
      copies += int64_t(new_hosts.size());
    }
  return copies;
}

TEST(MigrationMoves, MoveExactlyWhatChangedForEveryPairOfPlacements) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PlacementInput in = random_placement_input(rng, false, false);
    const auto place = [&](const char* policy) { return PolicyChoice<PlacementPolicy>(policy).decide(in, rng); };
    const Placement before = place(seed % 2 == 0 ? "eplb" : "random");
    for (std::vector<int64_t>& layer : in.past_load) rng.shuffle(std::span(layer));
    const Placement after = place(seed % 3 == 0 ? "replicated" : "eplb");
    const int32_t groups = int32_t(rng.between(1, 3));
    const Layout layout{.gpus = groups * in.gpus, .gpus_per_node = in.gpus_per_node, .tp = 1, .ep = in.gpus};
    const std::vector<ExpertMove> moves = migration_moves(before, after, layout);
    check_moves(moves, before, after, layout);
    EXPECT_EQ(int64_t(moves.size()), groups * copies_that_are_new(before, after));
    EXPECT_TRUE(migration_moves(after, after, layout).empty());

    Bytes bytes;
    const std::vector<EndpointId> endpoints(size_t(layout.gpus));
    for (const TaskFlow& flow : migration_graph(moves, Bytes{1000}, {}, layout, endpoints).flows)
      bytes += flow.message.bytes;
    EXPECT_EQ(bytes.count, 1000 * int64_t(moves.size()));
  }
}

TEST(MigrationMoves, ComeFromTheSameServerWhereItHasTheExpert) {
  const auto moves = migration_moves(placed({{0, 3}, {1}}), placed({{0, 2}, {1}}), kTwoServers);
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_EQ(moves[0].from, GpuId{3});
  EXPECT_EQ(moves[0].to, GpuId{2});
}

// GPUs 0 and 1 have both experts, and 2 and 3 get them: each of the two sends two.
TEST(MigrationMoves, AreSpreadOverThoseThatCanSend) {
  std::vector<int32_t> sent(4, 0);
  for (const ExpertMove& move : migration_moves(placed({{0, 1}, {0, 1}}), placed({{2, 3}, {2, 3}}), kTwoServers))
    ++sent[index(move.from)];
  EXPECT_EQ(sent, (std::vector<int32_t>{2, 2, 0, 0}));
}

// A second copy on a GPU that has the expert is a copy within its memory.
TEST(MigrationMoves, LeaveOutASecondCopyOnAGpu) {
  EXPECT_TRUE(migration_moves(placed({{0}}), placed({{0, 0}}), kTwoServers).empty());
  EXPECT_EQ(migration_moves(placed({{0}}), placed({{1, 1}}), kTwoServers).size(), 1u);
}

TEST(CheckMoves, RefusesAMoveThatIsMissingOrTooMany) {
  const Placement before = placed({{0}, {1}});
  const Placement after = placed({{1}, {1}});
  EXPECT_THROW(check_moves({}, before, after, kTwoServers), InternalError);
  EXPECT_THROW(check_moves({{0, 0, GpuId{2}, GpuId{1}}}, before, after, kTwoServers), InternalError);
  EXPECT_THROW(check_moves({{0, 0, GpuId{0}, GpuId{1}}, {0, 1, GpuId{1}, GpuId{2}}}, before, after, kTwoServers),
               InternalError);
}

}  // namespace
}  // namespace moesim
