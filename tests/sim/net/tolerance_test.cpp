// What a tolerance promises: completion times within it, bytes exact, no link over its capacity by more than it.
#include <gtest/gtest.h>

#include "sim/net/flow_network.h"
#include "sim/net/work_set.h"
#include "tests/support/flow_errors.h"
#include "tests/support/rail_cluster.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

void expect_within(const FlowProblem& problem, double tolerance) {
  SCOPED_TRACE(testing::Message() << "tolerance " << tolerance);
  const FlowTimes exact = solve_within(problem, 0);
  const FlowTimes times = solve_within(problem, tolerance);
  const FlowErrors errors = flow_errors(problem, exact.finish, times.finish);
  EXPECT_LT(times.solves, exact.solves);  // so completions were batched
  EXPECT_LE(errors.makespan, tolerance);
  EXPECT_LE(errors.p99, tolerance);
  EXPECT_LE(errors.of_99, tolerance);
  for (size_t link = 0; link < problem.links.size(); ++link) {
    EXPECT_EQ(times.use[link].carried, exact.use[link].carried);
    const double carried_max = problem.links[link].capacity.bytes_per_s * times.use[link].busy.seconds();
    EXPECT_LE(double(times.use[link].carried.count), carried_max * (1 + tolerance) + 1) << "link " << link;
  }
}

// A collective over a random network: many flows at once, in a few bursts, over links of unequal capacity.
FlowProblem bursts(Rng& rng, int flows) {
  FlowProblem problem;
  const int64_t hosts = rng.between(20, 60);
  const int64_t spines = rng.between(2, 8);
  for (int64_t link = 0; link < 2 * hosts + spines; ++link)
    problem.links.push_back({Rate{1e9 * double(rng.between(1, 40))}, Duration{rng.between(0, 3) * 500'000}});
  int64_t now = 0;
  for (int i = 0; i < flows; ++i) {
    if (rng.uniform() < 3.0 / flows) now += rng.between(1, 200'000'000);  // picoseconds: another burst
    const auto from = rng.between(0, hosts - 1);
    const auto to = rng.between(0, hosts - 1);
    std::vector<LinkId> path = {LinkId(from), LinkId(hosts + to)};
    if (rng.uniform() < 0.7) path.insert(path.begin() + 1, LinkId(2 * hosts + rng.between(0, spines - 1)));
    const auto bytes = int64_t(exact_pow(10, 3 + 3 * rng.uniform()));
    problem.flows.push_back({path, Bytes{bytes}, Time{now}});
  }
  return problem;
}

TEST(Tolerance, HoldsOnTheWorkSetOf256Hosts) {
  for (const int oversubscription : {1, 2}) {
    SCOPED_TRACE(oversubscription);
    const LeafSpine net(256, oversubscription);
    for (const Workload workload : {Workload::a2a, Workload::zipf, Workload::rndz})
      expect_within(work_set(workload, net), 0.01);
    if (oversubscription == 2) expect_within(work_set(Workload::rnd, net), 0.01);
  }
}

// Of 64 hosts there are 4,032 flows at once, few enough to be solved exactly.
TEST(Tolerance, LeavesFewFlowsExact) {
  const LeafSpine net(64, 1);
  for (const FlowProblem& problem :
       {work_set(Workload::a2a, net), work_set(Workload::zipf, net), work_set(Workload::rndz, net)}) {
    const FlowTimes exact = solve_within(problem, 0);
    const FlowTimes times = solve_within(problem, 0.05);
    EXPECT_LE(flow_errors(problem, exact.finish, times.finish).largest, 1e-9);
  }
}

TEST(Tolerance, HoldsInBurstsOverRandomNetworks) {
  for_each_seed(2, [](Rng& rng) {
    const FlowProblem problem = bursts(rng, 16'000);
    for (const double tolerance : {0.001, 0.01, 0.05}) expect_within(problem, tolerance);
  });
}

TEST(Tolerance, OfNothingGivesTheSameBytesAsWithout) {
  for_each_seed(50, [](Rng& rng) {
    const FlowProblem problem = random_problem(rng, 12, 60);
    EXPECT_EQ(solve_within(problem, 0).digest, solve_flows(problem, Fidelity::flow).digest);
  });
}

TEST(Tolerance, GivesTheSameAnswerAgain) {
  Rng rng(1);
  const FlowProblem problem = bursts(rng, 15'000);
  const FlowTimes times = solve_within(problem, 0.01);
  const FlowTimes again = solve_within(problem, 0.01);
  EXPECT_EQ(times.digest, again.digest);
  EXPECT_EQ(times.solves, again.solves);
}

// One flow alone: 1,000,000 B over 3 GB/s, rounded up to a picosecond.
TEST(Tolerance, LeavesAFlowAloneExact) {
  const FlowProblem problem{{{3_GBps, 1_us}}, {{{LinkId{0}}, Bytes{1'000'000}, {}}}};
  EXPECT_EQ(solve_within(problem, 0.05).makespan, Time{} + 1_us + Duration{333'333'334});
}

// 20,000 flows of 1 MB over one link of 100 GB/s: 0.2 s. After 0.05 s, when each has 750 kB left, the link has half of
// its capacity: 15 GB at 50 GB/s are 0.3 s more. Batched, since they are many.
TEST(Tolerance, FollowsACapacityThatChanges) {
  FlowProblem problem{{{100_GBps, {}}}, {}};
  const std::vector<LinkId> path = {LinkId{0}};
  for (int i = 0; i < 20'000; ++i) problem.flows.push_back({path, Bytes{1'000'000}, {}});
  MessageNetworkOptions options;
  options.network.rate_tolerance = 0.01;
  options.changes = {{Time{} + 50_ms, LinkId{0}, 50_GBps}};
  EXPECT_NEAR(solve_flows(problem, options, nullptr).makespan.seconds(), 0.35, 0.35e-6);
}

// The two-level all-to-all on 16 nodes: 16 x 56 flows inside them, then 128 x 15 between them.
TEST(Tolerance, RunsTheTwoLevelAllToAll) {
  RailCluster cluster;
  cluster.nodes = 16;
  cluster.nics_a_leaf = 4;
  TwoLevelAllToAll exact(cluster, 0);
  TwoLevelAllToAll within(cluster, 0.01);
  exact.run();
  within.run();
  EXPECT_EQ(exact.flows(), 16u * 56 + 128 * 15);
  EXPECT_EQ(within.flows(), exact.flows());
  for (size_t flow = 0; flow < exact.finish_s().size(); ++flow)
    EXPECT_NEAR(within.finish_s()[flow], exact.finish_s()[flow], 1e-6 * exact.finish_s()[flow]);
}

}  // namespace
}  // namespace moesim
