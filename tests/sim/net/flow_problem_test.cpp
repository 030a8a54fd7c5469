#include "sim/net/flow_problem.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/random_network.h"

namespace moesim {
namespace {

TEST(FlowList, KeepsWhatIsPutIn) {
  for_each_seed(50, [](Rng& rng) {
    std::vector<std::vector<LinkId>> paths;
    std::vector<TimedFlow> put;
    FlowList flows;
    for (int64_t flow = 0; flow < 40; ++flow) {
      std::vector<LinkId> path;
      for (int64_t hop = rng.between(0, 5); hop > 0; --hop) path.push_back(LinkId(rng.between(0, 1000)));
      flows.push_back({path, Bytes{rng.between(0, 1'000'000)}, Time{rng.between(0, 1'000'000)}});
      paths.push_back(std::move(path));
      put.push_back(flows[flows.size() - 1]);
    }
    ASSERT_EQ(flows.size(), 40u);
    size_t at = 0;
    for (const TimedFlow flow : flows) {
      EXPECT_TRUE(std::equal(flow.path.begin(), flow.path.end(), paths[at].begin(), paths[at].end()));
      EXPECT_EQ(flow.bytes, put[at].bytes);
      EXPECT_EQ(flow.start, put[at].start);
      ++at;
    }
    EXPECT_EQ(at, 40u);
  });
}

// What is listed in any order starts when it is due.
TEST(SolveFlows, DoesNotDependOnTheOrderOfTheList) {
  for_each_seed(200, [](Rng& rng) {
    const FlowProblem problem = random_problem(rng, 12, 60);
    std::vector<size_t> order(problem.flows.size());
    for (size_t place = 0; place < order.size(); ++place) order[place] = place;
    rng.shuffle(std::span(order));
    FlowProblem shuffled{problem.links, {}};
    for (const size_t flow : order) shuffled.flows.push_back(problem.flows[flow]);
    const FlowTimes straight = solve_flows(problem, Fidelity::flow);
    const FlowTimes mixed = solve_flows(shuffled, Fidelity::flow);
    for (size_t place = 0; place < order.size(); ++place)
      EXPECT_NEAR(mixed.finish[place].seconds(), straight.finish[order[place]].seconds(),
                  std::max(5e-12, 1e-9 * straight.finish[order[place]].seconds()));
  });
}

// Three flows start at 0 and two at 1 us, and do not hinder each other: one event each instant starts them, one lets
// them enter their links, and one ends them.
TEST(SolveFlows, TakesOneEventForAllStartsOfAnInstant) {
  FlowProblem problem{std::vector<Link>(5, Link{1_GBps, {}}), {}};
  for (int32_t flow = 0; flow < 5; ++flow)
    problem.flows.push_back({std::vector<LinkId>{LinkId{flow}}, 100_B, Time{flow < 3 ? 0 : 1'000'000}});
  const FlowTimes times = solve_flows(problem, Fidelity::flow);
  EXPECT_EQ(times.events, 2u + 2u + 2u);
  EXPECT_EQ(times.solves, 4u);
  EXPECT_EQ(solve_flows(problem, Fidelity::ideal).solves, 0u);
}

// Of n values the element ceil(q n) - 1: of 1..100 the 99th percentile is 99, of 1..101 it is 100.
TEST(Quantile, IsAnElementOfTheList) {
  std::vector<Duration> values;
  EXPECT_EQ(quantile(values, 0.99), Duration{});
  for (int64_t value = 1; value <= 100; ++value) values.push_back(Duration{value});
  EXPECT_EQ(quantile(values, 0.99), Duration{99});
  EXPECT_EQ(quantile(values, 0.5), Duration{50});
  EXPECT_EQ(quantile(values, 1.0), Duration{100});
  values.push_back(Duration{101});
  EXPECT_EQ(quantile(values, 0.99), Duration{100});
  EXPECT_EQ(quantile(values, 0.5), Duration{51});
}

// 2 MB start at 0 on a link of 1 GB/s, 1 MB at 1 ms: both end at 3 ms. One flow for 3 ms and one for 2: 5 flow-ms.
TEST(LinkUse, CountsTheTimeOfEveryFlow) {
  const std::vector<LinkId> path = {LinkId{0}};
  const FlowProblem problem{{{1_GBps, {}}}, {{path, Bytes{2'000'000}, {}}, {path, Bytes{1'000'000}, Time{} + 1_ms}}};
  const LinkUse use = solve_flows(problem, Fidelity::flow).use[0];
  EXPECT_EQ(use.busy, 3_ms);
  EXPECT_NEAR(use.flow_s, 5e-3, 1e-15);
}

// Summed over flows, the time on a link is what it is however the flows overlap.
TEST(LinkUse, CountsAsMuchTimeAsTheFlowsTake) {
  for_each_seed(200, [](Rng& rng) {
    const FlowProblem problem = random_problem(rng, 12, 60);
    for (const Fidelity fidelity : {Fidelity::flow, Fidelity::ideal}) {
      const FlowTimes times = solve_flows(problem, fidelity);
      std::vector<double> flow_s(problem.links.size(), 0.0);
      for (size_t flow = 0; flow < problem.flows.size(); ++flow) {
        if (problem.flows.bytes(flow) == Bytes{}) continue;
        const Time enters = problem.flows.start(flow) + path_latency(problem.links, problem.flows.path(flow));
        for (const LinkId link : problem.flows.path(flow))
          flow_s[index(link)] += (times.finish[flow] - enters).seconds();
      }
      for (size_t link = 0; link < flow_s.size(); ++link)
        EXPECT_NEAR(times.use[link].flow_s, flow_s[link], 1e-9 * flow_s[link] + 1e-15);
    }
  });
}

}  // namespace
}  // namespace moesim
