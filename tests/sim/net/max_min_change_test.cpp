// What changes under the rates besides flows that come and end: capacities, flows taken out, links that fail and heal;
// and the ways of solving that a small network does not take by itself.
#include <gtest/gtest.h>

#include "sim/core/check.h"
#include "sim/net/max_min.h"
#include "sim/net/work_set.h"
#include "tests/support/max_min_reference.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

// A network in which things happen at random, and what is left of each flow by the rates that held.
class Storm {
 public:
  Storm(FlowProblem problem, Rng& rng)
      : rates(problem.links), problem_(std::move(problem)), left_(problem_.flows.size()), rng_(rng) {
    for (size_t flow = 0; flow < problem_.flows.size(); ++flow) waiting_.push_back(flow);
  }

  bool over() const { return waiting_.empty() && live_.empty(); }

  void step() {
    pass_time();
    do {
      const double what = rng_.uniform();
      if (what < 0.5 && !waiting_.empty())
        add(rng_.uniform() < 0.1 ? rng_.between(9, 60) : rng_.between(1, 4));
      else if (what < 0.65 && !live_.empty())
        take_out();
      else if (what < 0.9)
        change_a_capacity();
    } while (rng_.uniform() < 0.4);  // several at one instant
    if (waiting_.empty()) heal_all();
    rates.solve(now_);
  }

  void expect_fair() const {
    ASSERT_EQ(rates.live(), live_.size());
    expect_max_min_fair(problem_, live_, rates);
    rates.check_certificate();
    const std::vector<long double> expected = reference_rates(problem_, live_);
    for (size_t i = 0; i < live_.size(); ++i)
      EXPECT_NEAR(rates.rate(FlowId(live_[i])).bytes_per_s, double(expected[i]), 1e-9 * double(expected[i]));
  }

  MaxMin rates;

 private:
  // Until the next flow ends, or a part of that time.
  void pass_time() {
    if (live_.empty()) return;
    const Time next = rates.next_finish();
    const bool ends = next < MaxMin::kNever && rng_.uniform() < 0.7;
    const Time then =
        ends ? next : now_ + Duration{rng_.between(0, std::min<int64_t>((next - now_).ps, 1'000'000) / 2)};
    for (const size_t flow : live_) left_[flow] -= rates.rate(FlowId(flow)).bytes_per_s * (then - now_).seconds();
    now_ = then;
    if (!ends) return;
    std::vector<FlowId> finished;
    rates.take_finished(now_, finished);
    ASSERT_FALSE(finished.empty());
    for (const FlowId flow : finished) {
      ASSERT_EQ(std::erase(live_, index(flow)), 1u);
      // Rounding up adds at most what goes in a picosecond: 4 B at the highest capacity that there is.
      EXPECT_LE(std::abs(left_[index(flow)]), 5 + 1e-8 * double(problem_.flows[index(flow)].bytes.count));
    }
  }

  void add(int64_t flows) {
    for (; flows > 0 && !waiting_.empty(); --flows) {
      const size_t flow = waiting_.back();
      waiting_.pop_back();
      if (left_[flow] == 0) left_[flow] = double(problem_.flows[flow].bytes.count);
      rates.add(FlowId(flow), problem_.flows[flow].path, left_[flow]);
      live_.push_back(flow);
    }
  }

  // It comes again later as another flow, over other links, with what is left of it.
  void take_out() {
    const size_t flow = live_[rng_.below(live_.size())];
    std::erase(live_, flow);
    const double left = rates.take_out(FlowId(flow), now_);
    EXPECT_NEAR(left, std::max(0.0, left_[flow]), 1 + 1e-8 * double(problem_.flows[flow].bytes.count));
    left_[flow] = left;
    if (left < 1) return;
    const std::vector<LinkId> other = {LinkId(rng_.below(problem_.links.size()))};
    FlowList flows;
    for (size_t each = 0; each < problem_.flows.size(); ++each)
      flows.push_back({each == flow ? Path(other) : problem_.flows.path(each), problem_.flows.bytes(each), Time{}});
    problem_.flows = std::move(flows);
    waiting_.push_back(flow);
  }

  void change_a_capacity() {
    const size_t link = rng_.below(problem_.links.size());
    double& capacity = problem_.links[link].capacity.bytes_per_s;
    const double what = rng_.uniform();
    capacity = what < 0.3 ? 0 : capacity == 0 ? 1e9 : what < 0.35 ? 4e12 : capacity * (0.1 + 2 * rng_.uniform());
    if (capacity > 0) capacity = std::clamp(capacity, 1e6, 4e12);
    rates.set_capacity(LinkId(link), {capacity});
  }

  void heal_all() {
    for (size_t link = 0; link < problem_.links.size(); ++link)
      if (problem_.links[link].capacity.bytes_per_s < 1e6) {
        problem_.links[link].capacity.bytes_per_s = 1e9;
        rates.set_capacity(LinkId(link), 1_GBps);
      }
  }

  FlowProblem problem_;
  std::vector<double> left_;     // bytes of each flow
  std::vector<size_t> waiting_;  // not there yet
  std::vector<size_t> live_;
  Time now_;
  Rng& rng_;
};

void expect_fair_in_a_storm(Storm& storm) {
  for (int steps = 3000; !storm.over(); --steps) {
    ASSERT_GT(steps, 0);
    storm.step();
    storm.expect_fair();
    if (testing::Test::HasFailure()) return;
  }
}

TEST(MaxMinChanges, RatesAreFairWhileCapacitiesChangeAndLinksFailAndFlowsAreTakenOut) {
  for_each_seed(300, [](Rng& rng) {
    Storm storm(random_problem(rng, 12, 60), rng);
    expect_fair_in_a_storm(storm);
  });
}

TEST(MaxMinChanges, RatesAreFairInAStormOverManyFlows) {
  for_each_seed(4, [](Rng& rng) {
    Storm storm(random_problem(rng, 40, 300), rng);
    expect_fair_in_a_storm(storm);
  });
}

// With no work allowed, every solve that is not from the ground already is abandoned for one that is.
TEST(MaxMinChanges, ASolveThatWorksTooLongStartsFromTheGround) {
  uint64_t abandoned = 0;
  for_each_seed(100, [&](Rng& rng) {
    Storm storm(random_problem(rng, 12, 60), rng);
    storm.rates.limit_work(size_t(rng.between(0, 20)));
    expect_fair_in_a_storm(storm);
    abandoned += storm.rates.abandoned_solves();
    EXPECT_LE(storm.rates.abandoned_solves(), storm.rates.full_solves());
  });
  EXPECT_GT(abandoned, 1000u);
}

TEST(MaxMinChanges, ASolveIsSeldomAbandonedOtherwise) {
  for_each_seed(50, [](Rng& rng) {
    Storm storm(random_problem(rng, 12, 60), rng);
    expect_fair_in_a_storm(storm);
    EXPECT_EQ(storm.rates.abandoned_solves(), 0u);
  });
}

// The hard case: an all-to-all of unequal sizes over a non-blocking fabric, where nearly every completion changes much;
// links are watched and noticed again, and rows of neighbours are long.
TEST(MaxMinChanges, AnAllToAllOfUnequalSizesHasItsCertificateThroughout) {
  const FlowProblem problem = work_set(Workload::rnd, LeafSpine(64, 1));
  MaxMin rates(problem.links);
  for (size_t flow = 0; flow < problem.flows.size(); ++flow)
    rates.add(FlowId(flow), problem.flows[flow].path, problem.flows[flow].bytes);
  rates.solve(Time{});
  std::vector<FlowId> finished;
  for (int solves = 0; rates.live() > 0; ++solves) {
    const Time now = rates.next_finish();
    ASSERT_LT(now, MaxMin::kNever);
    finished.clear();
    rates.take_finished(now, finished);
    rates.solve(now);
    if (solves % 8 == 0) rates.check_certificate();
  }
  EXPECT_EQ(rates.abandoned_solves(), 0u);
}

const std::vector<LinkId> kFirst = {LinkId{0}};
const std::vector<LinkId> kBoth = {LinkId{0}, LinkId{1}};

// 1000 B at 1 GB/s; after 400 ns 600 B are left. At 0.5 GB/s they take 1200 ns.
TEST(MaxMinChanges, ACapacityHoldsFromTheNextSolve) {
  MaxMin rates(std::vector<Link>{{1_GBps, {}}});
  rates.add(FlowId{0}, kFirst, 1000_B);
  rates.solve(Time{});
  EXPECT_EQ(rates.next_finish(), Time{} + 1_us);
  rates.set_capacity(LinkId{0}, {0.5e9});
  EXPECT_EQ(rates.rate(FlowId{0}).bytes_per_s, 1e9);
  rates.solve(Time{} + 400_ns);
  EXPECT_EQ(rates.rate(FlowId{0}).bytes_per_s, 0.5e9);
  EXPECT_EQ(rates.next_finish(), Time{} + 1600_ns);
}

// A link that fails stops its flows, and leaves all its room on other links to the rest. The first flow has sent 500 B
// of 1000 at half of 1 GB/s when the second link fails at 1 us, and waits until it heals at 3 us; the second has 1 GB/s
// from 1 us on, and its last 500 B take until 1.5 us. Then the first alone needs 0.5 us.
TEST(MaxMinChanges, FlowsOnAFailedLinkWaitUntilItHeals) {
  MaxMin rates(std::vector<Link>{{1_GBps, {}}, {1_GBps, {}}});
  rates.add(FlowId{0}, kBoth, 1000_B);
  rates.add(FlowId{1}, kFirst, 1000_B);
  rates.solve(Time{});
  rates.set_capacity(LinkId{1}, {0});
  rates.solve(Time{} + 1_us);
  EXPECT_EQ(rates.rate(FlowId{0}).bytes_per_s, 0);
  EXPECT_EQ(rates.next_finish(), Time{} + 1500_ns);
  std::vector<FlowId> finished;
  rates.take_finished(Time{} + 1500_ns, finished);
  EXPECT_EQ(finished, std::vector<FlowId>{FlowId{1}});
  rates.solve(Time{} + 1500_ns);
  rates.check_certificate();
  EXPECT_EQ(rates.next_finish(), MaxMin::kNever);
  rates.set_capacity(LinkId{1}, 1_GBps);
  rates.solve(Time{} + 3_us);
  EXPECT_EQ(rates.next_finish(), Time{} + 3500_ns);
}

TEST(MaxMinChanges, ALinkMayHaveFailedFromTheStart) {
  MaxMin rates(std::vector<Link>{{{0}, {}}});
  rates.add(FlowId{0}, kFirst, 1000_B);
  rates.solve(Time{});
  EXPECT_EQ(rates.next_finish(), MaxMin::kNever);
  rates.set_capacity(LinkId{0}, 1_GBps);
  rates.solve(Time{} + 1_us);
  EXPECT_EQ(rates.next_finish(), Time{} + 2_us);
}

// Two flows at 0.5 GB/s: after 600 ns each has 700 of 1000 B left. The other then has 1 GB/s: 700 ns more. A flow that
// is taken out before the next solve has all its bytes.
TEST(MaxMinChanges, AFlowTakenOutLeavesItsRoomAndKeepsItsBytes) {
  MaxMin rates(std::vector<Link>{{1_GBps, {}}});
  rates.add(FlowId{0}, kFirst, 1000_B);
  rates.add(FlowId{1}, kFirst, 1000_B);
  rates.solve(Time{});
  EXPECT_DOUBLE_EQ(rates.take_out(FlowId{1}, Time{} + 600_ns), 700);
  rates.add(FlowId{1}, kFirst, 12.5);
  EXPECT_EQ(rates.take_out(FlowId{1}, Time{} + 600_ns), 12.5);
  EXPECT_EQ(rates.live(), 1u);
  rates.solve(Time{} + 600_ns);
  EXPECT_EQ(rates.next_finish(), Time{} + 1300_ns);
  EXPECT_THROW(rates.take_out(FlowId{1}, Time{} + 600_ns), InternalError);
}

// 60 flows, each over a link of its own of 1 GB/s, and all over a trunk of 100 GB/s that is far from full and so only
// watched. It must be noticed when the trunk becomes narrow (20 / 60 GB/s for each), when it is wide again, and when
// what comes from the other links grows beyond it (4 GB/s each would be 240; so 100 / 60).
TEST(MaxMinChanges, ALinkThatIsOnlyWatchedIsNoticedWhenItFills) {
  std::vector<Link> links(61, {1_GBps, {}});
  links[0] = {100_GBps, {}};
  MaxMin rates(links);
  std::vector<std::vector<LinkId>> paths;
  for (int flow = 0; flow < 60; ++flow) paths.push_back({LinkId(flow + 1), LinkId{0}});
  for (uint32_t flow = 0; flow < 60; ++flow) rates.add(FlowId{flow}, paths[flow], 1_MiB);
  Time now;
  const auto expect_all = [&](double rate) {
    now = now + 1_ns;
    rates.solve(now);
    rates.check_certificate();
    for (uint32_t flow = 0; flow < 60; ++flow) EXPECT_NEAR(rates.rate(FlowId{flow}).bytes_per_s, rate, 1e-9 * rate);
  };
  expect_all(1e9);
  rates.set_capacity(LinkId{0}, 20_GBps);
  expect_all(20e9 / 60);
  rates.set_capacity(LinkId{0}, 100_GBps);
  expect_all(1e9);
  for (int step = 1; step <= 30; ++step) {  // slowly: the trunk is full from 1.67 GB/s on
    for (int link = 1; link <= 60; ++link) rates.set_capacity(LinkId(link), {(1 + 0.1 * step) * 1e9});
    expect_all(std::min((1 + 0.1 * step) * 1e9, 100e9 / 60));
  }
  EXPECT_EQ(rates.full_solves(), 1u);
}

// Most flows of one instant are new, or end: then one solve from the ground is cheaper than to look at each.
TEST(MaxMinChanges, BatchesAreSolvedFromTheGround) {
  MaxMin rates(std::vector<Link>{{1_GBps, {}}, {1_GBps, {}}});
  for (uint32_t flow = 0; flow < 100; ++flow) rates.add(FlowId{flow}, flow < 90 ? kFirst : kBoth, 1000_B);
  for (uint32_t flow = 100; flow < 105; ++flow) rates.add(FlowId{flow}, kBoth, 5000_B);
  rates.solve(Time{});
  EXPECT_EQ(rates.full_solves(), 1u);
  rates.add(FlowId{200}, kBoth, 1000_B);
  rates.solve(Time{});
  EXPECT_EQ(rates.full_solves(), 1u);
  std::vector<FlowId> finished;
  const Time end = rates.next_finish();
  rates.take_finished(end, finished);  // 101 flows of 1000 B
  EXPECT_EQ(finished.size(), 101u);
  rates.add(FlowId{0}, kBoth, 1000_B);  // a slot that has just become free
  rates.take_out(FlowId{100}, end);
  rates.solve(end);
  rates.check_certificate();
  EXPECT_EQ(rates.full_solves(), 2u);
  EXPECT_EQ(rates.live(), 5u);
  EXPECT_DOUBLE_EQ(rates.rate(FlowId{0}).bytes_per_s, 0.2e9);
}

// Paths get longer than any before while flows are live.
TEST(MaxMinChanges, PathsMayBeLong) {
  std::vector<Link> links(40, {10_GBps, {}});
  links[25] = {1_GBps, {}};
  std::vector<LinkId> all;
  for (int link = 0; link < 40; ++link) all.push_back(LinkId(link));
  MaxMin rates(links);
  for (uint32_t flow = 0; flow < 8; ++flow) {
    rates.add(FlowId{flow}, Path(all).first(5 * (flow + 1)), 1_MiB);
    rates.solve(Time{} + flow * 1_ns);
    rates.check_certificate();
  }
  // Three cross link 25; the other five share what they leave on the first: (10 - 1) / 5.
  for (uint32_t flow = 0; flow < 8; ++flow)
    EXPECT_NEAR(rates.rate(FlowId{flow}).bytes_per_s, flow < 5 ? 1.8e9 : 1e9 / 3, 1);
}

}  // namespace
}  // namespace moesim
