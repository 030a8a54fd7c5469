#include "sim/net/work_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <ostream>
#include <set>

#include "sim/core/check.h"

namespace moesim {
namespace {

struct KnownAnswer {
  Workload workload;
  int32_t oversubscription;
  double makespan_us;
  double p99_us;
};

void PrintTo(const KnownAnswer& known, std::ostream* out) { *out << known.makespan_us << " us"; }

// Makespans and 99th percentiles at 64 hosts, found by three independent solvers; known to half a nanosecond.
class WorkSetAnswers : public testing::TestWithParam<KnownAnswer> {};

TEST_P(WorkSetAnswers, AreMet) {
  const KnownAnswer known = GetParam();
  const FlowProblem problem = work_set(known.workload, LeafSpine(64, known.oversubscription));
  const FlowTimes times = solve_flows(problem, Fidelity::flow);
  EXPECT_NEAR(times.makespan.seconds() * 1e6, known.makespan_us, 0.6e-3);
  EXPECT_NEAR(quantile(sorted_completions(problem, times), 0.99).seconds() * 1e6, known.p99_us, 0.6e-3);
}

INSTANTIATE_TEST_SUITE_P(Of64Hosts, WorkSetAnswers,
                         testing::Values(KnownAnswer{Workload::a2a, 1, 348.030, 348.030},
                                         KnownAnswer{Workload::a2a, 2, 625.903, 625.903},
                                         KnownAnswer{Workload::zipf, 1, 4457.108, 4457.034},
                                         KnownAnswer{Workload::zipf, 2, 4457.108, 4441.268},
                                         KnownAnswer{Workload::rnd, 1, 365.246820, 356.595}),
                         [](const auto& test) { return std::to_string(test.index); });

// Path of a file of links by the names of their ends.
std::string ends(const LeafSpine& net, Path path) {
  std::string text;
  for (const LinkId link : path) text += net.link_name(link) + "; ";
  return text;
}

TEST(LeafSpine, ListsOnePathASpineAndTheHashTakesOneOfThem) {
  for (const int32_t oversubscription : {1, 2}) {
    const LeafSpine net(64, oversubscription);
    for (int32_t from = 0; from < net.hosts; from += 7)
      for (int32_t to = 0; to < net.hosts; ++to) {
        if (from == to) continue;
        const auto paths = net.paths(from, to);
        EXPECT_EQ(paths.size(), size_t(from / 16 == to / 16 ? 1 : 16 / oversubscription));
        EXPECT_EQ(std::set<std::vector<LinkId>>(paths.begin(), paths.end()).size(), paths.size());
        EXPECT_NE(std::find(paths.begin(), paths.end(), net.path(from, to)), paths.end());
      }
  }
}

// Every link leads on from where the one before it ends.
TEST(LeafSpine, PathsHangTogether) {
  const LeafSpine net(64, 2);
  EXPECT_EQ(ends(net, net.path(1, 15)), "host1 -> leaf0; leaf0 -> host15; ");
  EXPECT_EQ(ends(net, net.paths(17, 63)[5]), "host17 -> leaf1; leaf1 -> spine5; spine5 -> leaf3; leaf3 -> host63; ");
  std::set<std::string> names;
  for (int32_t link = 0; link < net.link_count(); ++link) names.insert(net.link_name(LinkId{link}));
  EXPECT_EQ(names.size(), size_t(net.link_count()));
  EXPECT_EQ(net.links().size(), size_t(net.link_count()));
}

TEST(LeafSpine, RefusesWhatDoesNotDivide) {
  EXPECT_THROW(LeafSpine(48, 1), InternalError);
  EXPECT_THROW(LeafSpine(64, 3), InternalError);
}

// All pairs send, and by Zipf's law the most popular host receives twice what the second does: 1/1 to 1/2.
TEST(WorkSet, ZipfFollowsItsLaw) {
  const FlowProblem problem = work_set(Workload::zipf, LeafSpine(64, 1));
  ASSERT_EQ(problem.flows.size(), 64u * 63u);
  std::map<LinkId, int64_t> bytes_to;
  for (const TimedFlow flow : problem.flows) bytes_to[flow.path.back()] = flow.bytes.count;
  std::vector<double> sorted;
  for (const auto& [link, bytes] : bytes_to) sorted.push_back(double(bytes));
  std::sort(sorted.rbegin(), sorted.rend());
  for (size_t rank = 1; rank <= sorted.size(); ++rank)
    EXPECT_NEAR(sorted[rank - 1], sorted[0] / double(rank), 1.0) << "rank " << rank;
}

// A factor between 0.5 and 1.5 with mean 1 and deviation 1/sqrt(12): over 4,032 flows the mean is off by 0.0045 sigma.
TEST(WorkSet, RandomSizesKeepTheirMean) {
  const FlowProblem problem = work_set(Workload::rnd, LeafSpine(64, 1));
  double sum = 0;
  for (const TimedFlow flow : problem.flows) {
    EXPECT_GE(flow.bytes.count, 131072);
    EXPECT_LE(flow.bytes.count, 393216);
    sum += double(flow.bytes.count);
  }
  EXPECT_NEAR(sum / double(problem.flows.size()) / 262144, 1.0, 5 * 0.0045);
}

// Flows come in order of their start, and offer 60 % of what the hosts can send.
TEST(WorkSet, AStreamOffersItsLoad) {
  const FlowProblem problem = work_set(Workload::stream, LeafSpine(64, 1), 50'000);
  ASSERT_EQ(problem.flows.size(), 50'000u);
  double bytes = 0;
  for (size_t flow = 0; flow < problem.flows.size(); ++flow) {
    bytes += double(problem.flows.bytes(flow).count);
    EXPECT_GE(problem.flows.start(flow), problem.flows.start(flow == 0 ? 0 : flow - 1));
  }
  EXPECT_NEAR(bytes / (64 * 50e9) / problem.flows.start(49'999).seconds(), 0.6, 0.02);
}

}  // namespace
}  // namespace moesim
