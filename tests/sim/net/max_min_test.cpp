#include "sim/net/max_min.h"

#include <gtest/gtest.h>

#include "sim/core/check.h"
#include "tests/support/max_min_reference.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

// Lets the flows of the problem come in groups and go as they end, and looks at the rates after each change.
void expect_fair_throughout(const FlowProblem& problem, Rng& rng) {
  MaxMin rates(problem.links);
  std::vector<size_t> live;
  std::vector<FlowId> finished;
  size_t next = 0;
  Time now;
  while (next < problem.flows.size() || !live.empty()) {
    const bool add = next < problem.flows.size() && (live.empty() || rng.uniform() < 0.5);
    if (add) {
      for (int64_t group = rng.between(1, 5); group > 0 && next < problem.flows.size(); --group, ++next) {
        rates.add(FlowId(next), problem.flows[next].path, problem.flows[next].bytes);
        live.push_back(next);
      }
    } else {
      now = rates.next_finish();
      ASSERT_LT(now, MaxMin::kNever);
      finished.clear();
      rates.take_finished(now, finished);
      ASSERT_FALSE(finished.empty());
      for (const FlowId flow : finished) std::erase(live, index(flow));
    }
    rates.solve(now);
    ASSERT_EQ(rates.live(), live.size());
    expect_max_min_fair(problem, live, rates);
    rates.check_certificate();
    if (testing::Test::HasFailure()) return;
  }
}

TEST(MaxMin, IsFairAfterEveryChangeOfSmallNetworks) {
  for_each_seed(2000, [](Rng& rng) { expect_fair_throughout(random_problem(rng, 12, 40), rng); });
}

TEST(MaxMin, IsFairAfterEveryChangeOfLargerNetworks) {
  for_each_seed(15, [](Rng& rng) { expect_fair_throughout(random_problem(rng, 60, 400), rng); });
}

TEST(MaxMin, GivesTheRatesOfProgressiveFilling) {
  for_each_seed(500, [](Rng& rng) {
    const FlowProblem problem = random_problem(rng, 15, 60);
    MaxMin rates(problem.links);
    std::vector<size_t> live;
    for (size_t flow = 0; flow < problem.flows.size(); ++flow) {
      rates.add(FlowId(flow), problem.flows[flow].path, problem.flows[flow].bytes);
      live.push_back(flow);
    }
    rates.solve(Time{});
    const std::vector<long double> expected = reference_rates(problem, live);
    for (const size_t flow : live)
      EXPECT_NEAR(rates.rate(FlowId(flow)).bytes_per_s, double(expected[flow]), 1e-9 * double(expected[flow]));
  });
}

// The parking lot: a long flow over three links of 12, 10 and 6 GB/s, and one flow on each. The last link fills first,
// at 6 / 2 = 3; that leaves 10 - 3 = 7 on the second and 12 - 3 = 9 on the first.
TEST(MaxMin, SolvesTheParkingLot) {
  const std::vector<Link> links = {{12_GBps, {}}, {10_GBps, {}}, {6_GBps, {}}};
  const std::vector<LinkId> all = {LinkId{0}, LinkId{1}, LinkId{2}};
  MaxMin rates(links);
  rates.add(FlowId{0}, all, 1_MiB);
  for (uint32_t i = 0; i < 3; ++i) rates.add(FlowId{i + 1}, Path(all).subspan(i, 1), 1_MiB);
  rates.solve(Time{});
  EXPECT_DOUBLE_EQ(rates.rate(FlowId{0}).bytes_per_s, 3e9);
  EXPECT_DOUBLE_EQ(rates.rate(FlowId{1}).bytes_per_s, 9e9);
  EXPECT_DOUBLE_EQ(rates.rate(FlowId{2}).bytes_per_s, 7e9);
  EXPECT_DOUBLE_EQ(rates.rate(FlowId{3}).bytes_per_s, 3e9);
}

TEST(MaxMin, RefusesAPathThatCrossesALinkTwiceAndASlotInUse) {
  const std::vector<Link> links = {{1_GBps, {}}, {1_GBps, {}}};
  const std::vector<LinkId> loop = {LinkId{0}, LinkId{1}, LinkId{0}};
  const std::vector<LinkId> once = {LinkId{1}};
  EXPECT_THROW(MaxMin(links).add(FlowId{0}, loop, 1_B), InternalError);
  MaxMin rates(links);
  rates.add(FlowId{0}, once, 1_B);
  EXPECT_THROW(rates.add(FlowId{0}, once, 1_B), InternalError);
}

// Served bytes of 1e11 on one clock: long beyond where it is set back. 1e11 B at 1 GB/s is 100 s; the second flow
// comes at 90 s, when 1e10 B are left, and both have 0.5 GB/s until 90 + 4 = 94 s, when its 2e9 B are done; 8e9 B
// remain.
TEST(MaxMin, KeepsCountWhenALinkIsNeverIdle) {
  const std::vector<Link> links = {{1_GBps, {}}};
  const std::vector<LinkId> path = {LinkId{0}};
  MaxMin rates(links);
  std::vector<FlowId> finished;
  rates.add(FlowId{0}, path, Bytes{100'000'000'000});
  rates.solve(Time{});
  const Time at_90s{90'000'000'000'000};
  rates.add(FlowId{1}, path, Bytes{2'000'000'000});
  rates.solve(at_90s);
  EXPECT_EQ(rates.next_finish(), at_90s + 4_s);
  rates.take_finished(at_90s + 4_s, finished);
  EXPECT_EQ(finished, std::vector<FlowId>{FlowId{1}});
  rates.solve(at_90s + 4_s);
  EXPECT_EQ(rates.next_finish(), at_90s + 12_s);
}

}  // namespace
}  // namespace moesim
