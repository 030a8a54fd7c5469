#include "sim/net/flow_network.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/core/check.h"
#include "tests/support/max_min_reference.h"
#include "tests/support/net_workload.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

// A network whose flows write down when they are done, by tag.
struct Bench {
  explicit Bench(std::vector<Link> links) : network(sim, std::move(links), {&Bench::done, this}) {}

  static void done(void* object, uint64_t tag) {
    Bench& bench = *static_cast<Bench*>(object);
    bench.tags.push_back(tag);
    bench.times.push_back(bench.sim.now());
    if (bench.starts_left > 0 && bench.starts_left-- > 0)
      bench.network.start(bench.next_path, bench.next_bytes, tag + 1);
  }

  Simulator sim;
  FlowNetwork network;
  std::vector<uint64_t> tags;
  std::vector<Time> times;
  int starts_left = 0;  // flows to start from done
  Path next_path;
  Bytes next_bytes;
};

const std::vector<LinkId> kFirst = {LinkId{0}};
const std::vector<LinkId> kSecond = {LinkId{1}};
const std::vector<LinkId> kBoth = {LinkId{0}, LinkId{1}};

Time seconds(double s) { return {int64_t(std::llround(s * 1e12))}; }

// Two flows of 8 GB share a 10 GB/s uplink; one leaves over a 4 GB/s downlink.
// Downlink flow: 8 / 4 = 2 s. The other gets 10 - 4 = 6 GB/s, so 8 / 6 = 1.333... s.
TEST(FlowNetwork, ASlowDownlinkLeavesItsShareToTheOthers) {
  const FlowProblem problem{{{10_GBps, {}}, {4_GBps, {}}},
                            {{kBoth, Bytes{8'000'000'000}, {}}, {kFirst, Bytes{8'000'000'000}, {}}}};
  const FlowTimes times = solve_flows(problem, Fidelity::flow);
  EXPECT_EQ(times.finish[0], seconds(2));
  EXPECT_EQ(times.finish[1], Time{1'333'333'333'334});  // rounded up
  EXPECT_EQ(times.makespan, seconds(2));
}

// 2 MB start at 0 on a link of 1 GB/s, 1 MB at 1 ms. The first sends 1 MB alone; from then each has 0.5 GB/s, and both
// have 1 MB left: 2 ms more.
TEST(FlowNetwork, SharesFromTheInstantAtWhichAnotherComes) {
  const FlowProblem problem{{{1_GBps, {}}},
                            {{kFirst, Bytes{2'000'000}, {}}, {kFirst, Bytes{1'000'000}, seconds(1e-3)}}};
  const FlowTimes times = solve_flows(problem, Fidelity::flow);
  EXPECT_EQ(times.finish[0], seconds(3e-3));
  EXPECT_EQ(times.finish[1], seconds(3e-3));
}

// The second flow needs 5 us to arrive, and takes no bandwidth from the first until then: 1000 B at 1 GB/s is 1 us.
TEST(FlowNetwork, AFlowUsesNoBandwidthDuringItsLatency) {
  const FlowProblem problem{{{1_GBps, {}}, {10_GBps, 5_us}}, {{kFirst, 1000_B, {}}, {kBoth, 1000_B, {}}}};
  const FlowTimes times = solve_flows(problem, Fidelity::flow);
  EXPECT_EQ(times.finish[0], Time{} + 1_us);
  EXPECT_EQ(times.finish[1], Time{} + 6_us);
}

// Three flows into each of four hosts and out of each: every link is shared by three, and all end at one instant,
// 3 x 1000 B / (1 GB/s) = 3 us. So there is one solve when they start and one when they end.
TEST(FlowNetwork, EqualFlowsEndTogether) {
  Bench bench(std::vector<Link>(8, {1_GBps, {}}));
  std::vector<std::vector<LinkId>> paths;
  for (int from = 0; from < 4; ++from)
    for (int to = 0; to < 4; ++to)
      if (from != to) paths.push_back({LinkId(from), LinkId(4 + to)});
  for (size_t i = 0; i < paths.size(); ++i) bench.network.start(paths[i], 1000_B, i);
  bench.sim.run();
  for (size_t i = 0; i < paths.size(); ++i) {
    EXPECT_EQ(bench.times[i], Time{} + 3_us);
    EXPECT_EQ(bench.tags[i], i);  // those of one instant are told in the order in which they were started
  }
  EXPECT_EQ(bench.network.solves(), 2u);
}

TEST(FlowNetwork, FlowsWithoutBytesOrLinksTakeTheirLatencyAndAreNeverDoneInsideStart) {
  Bench bench({{1_GBps, 300_ns}, {1_GBps, 200_ns}});
  bench.network.start(kBoth, 0_B, 1);
  bench.network.start({}, 1000_B, 2);
  bench.network.start(kFirst, 0_B, 3);
  EXPECT_TRUE(bench.tags.empty());
  EXPECT_EQ(bench.network.live(), 3u);
  bench.sim.run();
  EXPECT_EQ(bench.tags, (std::vector<uint64_t>{2, 3, 1}));
  EXPECT_EQ(bench.times, (std::vector<Time>{Time{}, Time{} + 300_ns, Time{} + 500_ns}));
  EXPECT_EQ(bench.network.live(), 0u);
  EXPECT_EQ(bench.network.use(LinkId{0}).busy, Duration{});
}

// 100,000 flows of 1000 B over 100 GB/s: 1 ms, in two solves.
TEST(FlowNetwork, TakesAHundredThousandStartsAtOneInstantAsOne) {
  Bench bench({{100_GBps, 1_us}});
  for (uint64_t tag = 0; tag < 100'000; ++tag) bench.network.start(kFirst, 1000_B, tag);
  bench.sim.run();
  EXPECT_EQ(bench.tags.size(), 100'000u);
  EXPECT_EQ(bench.times.front(), Time{} + 1_us + 1_ms);
  EXPECT_EQ(bench.times.back(), Time{} + 1_us + 1_ms);
  EXPECT_EQ(bench.network.solves(), 2u);
}

// Each flow starts the next when it is done: 1001 times 1 us of latency and 1000 B at 1 GB/s.
TEST(FlowNetwork, AFlowMayStartAnotherWhenItIsDone) {
  Bench bench({{1_GBps, 1_us}});
  bench.starts_left = 1000;
  bench.next_path = kFirst;
  bench.next_bytes = 1000_B;
  bench.network.start(kFirst, 1000_B, 0);
  bench.sim.run();
  EXPECT_EQ(bench.tags.back(), 1000u);
  EXPECT_EQ(bench.times.back(), Time{} + 1001 * 2_us);
  EXPECT_EQ(bench.network.use(LinkId{0}).busy, 1001 * 1_us);
}

// Without latency too: the next flow enters at the instant at which the last one ends.
TEST(FlowNetwork, AFlowMayStartAnotherThatEntersAtOnce) {
  Bench bench({{1_GBps, {}}, {1_GBps, {}}});
  bench.starts_left = 10;
  bench.next_path = kBoth;
  bench.next_bytes = 1000_B;
  bench.network.start(kFirst, 1000_B, 0);
  bench.sim.run();
  EXPECT_EQ(bench.times.back(), Time{} + 11 * 1_us);
  EXPECT_EQ(bench.network.use(LinkId{0}).busy, 11 * 1_us);
}

// One byte over more than a byte a picosecond still takes a picosecond.
TEST(FlowNetwork, NoTransferIsInstantaneous) {
  const FlowProblem problem{{{Rate{1e16}, {}}}, {{kFirst, 1_B, {}}}};
  EXPECT_EQ(solve_flows(problem, Fidelity::flow).makespan, Time{1});
}

TEST(FlowNetwork, RefusesALinkThatDoesNotExist) {
  Bench bench({{1_GBps, {}}});
  EXPECT_THROW(bench.network.start(kSecond, 1_B, 0), InternalError);
}

// Alone on its path a flow takes latency + bytes / narrowest rate, in either network; each rounds up once.
TEST(FlowNetwork, AFlowAloneTakesItsLatencyAndItsBytesOverTheNarrowestLink) {
  for_each_seed(1000, [](Rng& rng) {
    FlowProblem problem = random_problem(rng, 8, 1);
    const TimedFlow flow = problem.flows[0];
    Duration narrowest;
    for (const LinkId link : flow.path)
      narrowest = std::max(narrowest, transfer_time(flow.bytes, problem.links[index(link)].capacity));
    const Time expected = flow.start + path_latency(problem.links, flow.path) + narrowest;
    EXPECT_EQ(solve_flows(problem, Fidelity::ideal).makespan, expected);
    EXPECT_LE(std::abs((solve_flows(problem, Fidelity::flow).makespan - expected).ps), 1);
  });
}

TEST(FlowNetwork, FinishesEveryFlowWhenThePlainSolverDoes) {
  for_each_seed(600, [](Rng& rng) {
    const FlowProblem problem = random_problem(rng, 12, 50);
    const std::vector<long double> expected = reference_finish_s(problem);
    const FlowTimes times = solve_flows(problem, Fidelity::flow);
    for (size_t flow = 0; flow < problem.flows.size(); ++flow) {
      const long double difference = times.finish[flow].seconds() - expected[flow];
      EXPECT_LE(std::abs(difference), std::max(1e-6L * expected[flow], 5e-12L)) << "flow " << flow;
    }
  });
}

// The shape of an expert-parallel step, with only some of its flows, as the plain solver is slow.
TEST(FlowNetwork, FinishesAnAllToAllWhenThePlainSolverDoes) {
  const FlowProblem whole = expert_parallel_workload(3);
  FlowProblem problem{whole.links, {}};
  for (size_t i = 0; i < whole.flows.size(); i += 13) problem.flows.push_back(whole.flows[i]);
  const std::vector<long double> expected = reference_finish_s(problem);
  const FlowTimes times = solve_flows(problem, Fidelity::flow);
  for (size_t flow = 0; flow < problem.flows.size(); ++flow)
    EXPECT_NEAR(times.finish[flow].seconds(), double(expected[flow]), 1e-6 * double(expected[flow])) << "flow " << flow;
}

TEST(FlowNetwork, DeliversWhatWasSentAndNoLinkCarriesMoreThanItCan) {
  for_each_seed(500, [](Rng& rng) {
    const FlowProblem problem = random_problem(rng, 12, 60);
    std::vector<Bytes> sent(problem.links.size());
    for (const TimedFlow flow : problem.flows)
      for (const LinkId link : flow.path) sent[index(link)] += flow.bytes;
    for (const Fidelity fidelity : {Fidelity::flow, Fidelity::ideal}) {
      const FlowTimes times = solve_flows(problem, fidelity);
      for (size_t link = 0; link < problem.links.size(); ++link) {
        EXPECT_EQ(times.use[link].carried, sent[link]);
        EXPECT_LE(times.use[link].busy, times.makespan - Time{});
        if (fidelity == Fidelity::ideal) continue;
        const double carried_max = problem.links[link].capacity.bytes_per_s * times.use[link].busy.seconds();
        EXPECT_LE(double(sent[link].count), carried_max * (1 + 1e-9) + 1);
      }
    }
  });
}

// No flow is done before its bytes could have passed the narrowest link alone, and the last one not before the most
// loaded link has carried all its bytes.
TEST(FlowNetwork, NeverBeatsTheBounds) {
  for_each_seed(500, [](Rng& rng) {
    const FlowProblem problem = random_problem(rng, 12, 60);
    const FlowTimes shared = solve_flows(problem, Fidelity::flow);
    const FlowTimes alone = solve_flows(problem, Fidelity::ideal);
    for (size_t flow = 0; flow < problem.flows.size(); ++flow)
      EXPECT_GE(shared.finish[flow].ps + 1, alone.finish[flow].ps);
    for (size_t link = 0; link < problem.links.size(); ++link)
      EXPECT_GE(shared.makespan.seconds() * (1 + 1e-9) + 1e-12,
                double(shared.use[link].carried.count) / problem.links[link].capacity.bytes_per_s);
  });
}

// The answer is that of the flows, not of the order in which they are listed or of their slots.
TEST(FlowNetwork, DoesNotDependOnTheOrderOfStartsAtOneInstant) {
  for_each_seed(300, [](Rng& rng) {
    FlowProblem problem = random_problem(rng, 12, 60);
    for (size_t flow = 0; flow < problem.flows.size(); ++flow) problem.flows.set_start(flow, Time{});
    FlowProblem reversed{problem.links, {}};
    for (size_t flow = problem.flows.size(); flow-- > 0;) reversed.flows.push_back(problem.flows[flow]);
    FlowTimes forward = solve_flows(problem, Fidelity::flow);
    FlowTimes backward = solve_flows(reversed, Fidelity::flow);
    std::reverse(backward.finish.begin(), backward.finish.end());
    for (size_t flow = 0; flow < problem.flows.size(); ++flow)
      EXPECT_NEAR(forward.finish[flow].seconds(), backward.finish[flow].seconds(),
                  std::max(5e-12, 1e-9 * forward.finish[flow].seconds()));
  });
}

TEST(FlowNetwork, TheDigestTellsRunsApart) {
  FlowProblem problem{{{1_GBps, 1_us}}, {{kFirst, 1000_B, {}}, {kFirst, 3000_B, {}}}};
  const uint64_t digest = solve_flows(problem, Fidelity::flow).digest;
  EXPECT_EQ(solve_flows(problem, Fidelity::flow).digest, digest);
  problem.flows.set_bytes(1, 3001_B);
  EXPECT_NE(solve_flows(problem, Fidelity::flow).digest, digest);
}

// The use of a link counts the busy time until now: 2000 B at 1 GB/s after 1 us of latency, looked at after 2 us.
TEST(FlowNetwork, TheUseOfALinkIncludesWhatIsStillOnIt) {
  struct Observer {
    Bench& bench;
    LinkUse use;
    void look() { use = bench.network.use(LinkId{0}); }
  };
  Bench bench({{1_GBps, 1_us}});
  Observer observer{bench, {}};
  bench.network.start(kFirst, 2000_B, 0);
  bench.sim.at<&Observer::look>(Time{} + 2_us, observer);
  bench.sim.run();
  EXPECT_EQ(observer.use.busy, 1_us);
  EXPECT_EQ(observer.use.carried, 0_B);
  EXPECT_EQ(bench.network.use(LinkId{0}).carried, 2000_B);
}

TEST(Network, IsChosenByOneWord) {
  const auto names = enum_names(Fidelity{});
  EXPECT_STREQ(names[0].second, "ideal");
  EXPECT_STREQ(names[1].second, "flow");
  Simulator sim;
  Network network = make_network({Fidelity::flow}, sim, {{1_GBps, 1_us}}, {});
  start(network, kFirst, 1000_B, 0);
  start(network, kFirst, 1000_B, 1);
  EXPECT_EQ(live(network), 2u);
  sim.run();
  EXPECT_EQ(live(network), 0u);
  EXPECT_EQ(sim.now(), Time{} + 3_us);  // two at half the rate each
  EXPECT_EQ(use(network, LinkId{0}).carried, 2000_B);
  EXPECT_EQ(links(network).size(), 1u);
}

}  // namespace
}  // namespace moesim
