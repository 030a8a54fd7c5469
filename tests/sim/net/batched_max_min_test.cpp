#include "sim/net/batched_max_min.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/core/check.h"
#include "sim/net/work_set.h"
#include "tests/support/max_min_reference.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

const std::vector<LinkId> kFirst = {LinkId{0}};
const std::vector<LinkId> kBoth = {LinkId{0}, LinkId{1}};

// Whatever the order of freezing, no link may be over its capacity; and every flow must have a rate.
void expect_feasible(const BatchedMaxMin& rates, const FlowProblem& problem, const std::vector<size_t>& live) {
  std::vector<double> load(problem.links.size());
  for (const size_t flow : live) {
    const double rate = rates.rate(FlowId(flow)).bytes_per_s;
    EXPECT_GT(rate, 0);
    for (const LinkId link : problem.flows[flow].path) load[index(link)] += rate;
  }
  for (size_t link = 0; link < load.size(); ++link)
    EXPECT_LE(load[link], problem.links[link].capacity.bytes_per_s * (1 + 1e-6));
}

// Two flows share a link of 10 GB/s, one of them leaves over 4 GB/s: it has 4, the other 6.
TEST(BatchedMaxMin, GivesMaxMinFairRates) {
  const std::vector<Link> links = {{10_GBps, {}}, {4_GBps, {}}};
  BatchedMaxMin rates(links, 0.01);
  rates.add(FlowId{0}, kBoth, 1e6);
  rates.add(FlowId{1}, kFirst, 1e6);
  rates.solve(Time{});
  EXPECT_NEAR(rates.rate(FlowId{0}).bytes_per_s, 4e9, 4e9 * 1e-6);
  EXPECT_NEAR(rates.rate(FlowId{1}).bytes_per_s, 6e9, 6e9 * 1e-6);
}

// A first solve has no guide. A link that is final may be above the smallest share by 0.3 tolerances, and what its
// flows get above it, others lose; so rates on random networks are near those of progressive filling, and never too
// much.
TEST(BatchedMaxMin, IsNearProgressiveFillingAndNeverOverCapacity) {
  for_each_seed(500, [](Rng& rng) {
    const FlowProblem problem = random_problem(rng, 20, 100);
    BatchedMaxMin rates(problem.links, 0.001);
    std::vector<size_t> live;
    for (size_t flow = 0; flow < problem.flows.size(); ++flow) {
      rates.add(FlowId(flow), problem.flows[flow].path, double(problem.flows[flow].bytes.count));
      live.push_back(flow);
    }
    rates.solve(Time{});
    expect_feasible(rates, problem, live);
    const std::vector<long double> expected = reference_rates(problem, live);
    for (const size_t flow : live)
      EXPECT_NEAR(rates.rate(FlowId(flow)).bytes_per_s, double(expected[flow]), 0.01 * double(expected[flow]));
  });
}

// Flows come, end and are taken out; each solve is guided by the last.
TEST(BatchedMaxMin, StaysFeasibleAndNearWhileFlowsComeAndGo) {
  for_each_seed(100, [](Rng& rng) {
    const FlowProblem problem = random_problem(rng, 20, 300);
    BatchedMaxMin rates(problem.links, 0.001);
    std::vector<size_t> live;
    std::vector<FlowId> finished;
    Time now;
    for (size_t next = 0; next < problem.flows.size() || !live.empty();) {
      for (int64_t more = rng.between(0, 30); more > 0 && next < problem.flows.size(); --more, ++next) {
        rates.add(FlowId(next), problem.flows[next].path, double(problem.flows[next].bytes.count));
        live.push_back(next);
      }
      if (!live.empty() && rng.uniform() < 0.3) {
        const size_t place = size_t(rng.between(0, int64_t(live.size()) - 1));
        const double left = rates.take_out(FlowId(live[place]), now);
        EXPECT_GE(left, 0);
        EXPECT_LE(left, double(problem.flows[live[place]].bytes.count));
        live.erase(live.begin() + ptrdiff_t(place));
      }
      rates.solve(now);
      if (live.empty()) continue;
      expect_feasible(rates, problem, live);
      finished.clear();
      now = rates.next_finish();
      ASSERT_LT(now, BatchedMaxMin::kNever);
      rates.take_finished(now, finished);
      ASSERT_FALSE(finished.empty());
      for (const FlowId flow : finished) std::erase(live, index(flow));
      EXPECT_EQ(rates.live(), live.size());
    }
  });
}

// 1000 B at 1 GB/s are 1 us; after 0.4 us 600 B are left, with which it goes on elsewhere.
TEST(BatchedMaxMin, AnswersWhatIsLeftOfAFlowThatIsTakenOut) {
  const std::vector<Link> links = {{1_GBps, {}}};
  BatchedMaxMin rates(links, 0.01);
  rates.add(FlowId{7}, kFirst, 1000);
  EXPECT_EQ(rates.take_out(FlowId{7}, Time{}), 1000);  // before it has a rate
  rates.add(FlowId{7}, kFirst, 1000);
  rates.solve(Time{});
  EXPECT_NEAR(rates.take_out(FlowId{7}, Time{} + 400_ns), 600, 1e-3);
  EXPECT_EQ(rates.live(), 0u);
}

// At half of the capacity from 0.5 us on, the other 500 B take 1 us.
TEST(BatchedMaxMin, FollowsACapacityThatChanges) {
  const std::vector<Link> links = {{1_GBps, {}}};
  BatchedMaxMin rates(links, 0.01);
  rates.add(FlowId{0}, kFirst, 1000);
  rates.solve(Time{});
  rates.set_capacity(LinkId{0}, Rate{0});
  rates.solve(Time{} + 500_ns);
  EXPECT_EQ(rates.next_finish(), BatchedMaxMin::kNever);
  rates.set_capacity(LinkId{0}, Rate{0.5e9});
  rates.solve(Time{} + 500_ns);
  EXPECT_NEAR(double(rates.next_finish().ps), 1.5e6, 2);
}

TEST(BatchedMaxMin, RefusesAFlowThatCrossesALinkTwiceAndOneThatIsNotThere) {
  const std::vector<Link> links = {{1_GBps, {}}};
  const std::vector<LinkId> twice = {LinkId{0}, LinkId{0}};
  BatchedMaxMin rates(links, 0.01);
  EXPECT_THROW(rates.add(FlowId{0}, twice, 1), InternalError);
  EXPECT_THROW(rates.take_out(FlowId{1}, Time{}), InternalError);
}

}  // namespace
}  // namespace moesim
