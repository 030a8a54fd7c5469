#include "sim/net/link_recorder.h"

#include <gtest/gtest.h>

#include <numeric>

#include "sim/net/flow_problem.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

double sum(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

// 100 bytes from 500 ps to 3 ns, in buckets of 1 ns: 40 bytes a ns.
TEST(LinkRecorder, SpreadsBytesEvenly) {
  LinkRecorder recorder(1);
  recorder.add(LinkId{0}, 100_B, Time{500}, Time{3000});
  EXPECT_EQ(recorder.width(), 1_ns);
  const std::vector<double>& bytes = recorder.bytes(LinkId{0});
  ASSERT_EQ(bytes.size(), LinkRecorder::kBuckets);
  EXPECT_DOUBLE_EQ(bytes[0], 20);
  EXPECT_DOUBLE_EQ(bytes[1], 40);
  EXPECT_DOUBLE_EQ(bytes[2], 40);
  EXPECT_EQ(bytes[3], 0);
}

// 128 buckets of 1 ns hold what ends at 128 ns. What ends at 1 us needs 8 ns a bucket, and buckets 0 to 7 become one.
TEST(LinkRecorder, DoublesItsBucketsAsTimePasses) {
  LinkRecorder recorder(2);
  for (int64_t ns = 0; ns < 128; ++ns) recorder.add(LinkId{0}, 10_B, Time{1000 * ns}, Time{1000 * (ns + 1)});
  EXPECT_EQ(recorder.width(), 1_ns);
  recorder.add(LinkId{1}, 1_B, Time{1'000'000}, Time{1'000'000});
  EXPECT_EQ(recorder.width(), 8_ns);
  for (size_t bucket = 0; bucket < LinkRecorder::kBuckets; ++bucket)
    EXPECT_EQ(recorder.bytes(LinkId{0})[bucket], bucket < 16 ? 80 : 0) << bucket;
  EXPECT_EQ(recorder.bytes(LinkId{1})[125], 1);
}

TEST(LinkRecorder, HasNothingOfALinkThatCarriedNothing) {
  LinkRecorder recorder(2);
  recorder.add(LinkId{0}, 0_B, Time{}, Time{1000});
  EXPECT_TRUE(recorder.bytes(LinkId{0}).empty());
  EXPECT_TRUE(recorder.bytes(LinkId{1}).empty());
}

// Over all buckets each link carries what it carries, no bucket more than the link could, and nothing else changes.
// A flow's bytes are spread over its time though its rate varies, so a bucket may be over by what one flow varies.
TEST(LinkRecorder, SeesAllBytesAndChangesNoResult) {
  for_each_seed(300, [](Rng& rng) {
    const FlowProblem problem = random_problem(rng, 12, 60);
    for (const Fidelity fidelity : {Fidelity::flow, Fidelity::ideal}) {
      LinkRecorder recorder(problem.links.size());
      const FlowTimes times = solve_flows(problem, {.fidelity = fidelity}, &recorder);
      const FlowTimes unseen = solve_flows(problem, fidelity);
      EXPECT_EQ(times.digest, unseen.digest);
      EXPECT_EQ(times.events, unseen.events);
      EXPECT_EQ(times.finish, unseen.finish);
      EXPECT_GE((int64_t(LinkRecorder::kBuckets) * recorder.width()).ps, (times.makespan - Time{}).ps);
      for (size_t link = 0; link < problem.links.size(); ++link) {
        const double carried = double(times.use[link].carried.count);
        EXPECT_NEAR(sum(recorder.bytes(LinkId(link))), carried, 1e-9 * carried);
      }
    }
  });
}

}  // namespace
}  // namespace moesim
