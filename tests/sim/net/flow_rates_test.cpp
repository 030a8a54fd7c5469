#include "sim/net/flow_rates.h"

#include <gtest/gtest.h>

namespace moesim {
namespace {

const std::vector<LinkId> kPath = {LinkId{0}};
const std::vector<Link> kLinks = {{100_GBps, {}}};
constexpr double kBytes = 1e6;

// 20,000 flows at once are batched: each has 5 MB/s, and after 0.1 s half of its 1 MB. All but 5,000 taken out, the
// rest has 20 MB/s and is solved exactly: 0.025 s more. Of a flow taken out after 0.01 s of these, 0.3 MB are left.
TEST(FlowRates, HandsFlowsOverWithTheBytesThatAreLeft) {
  FlowRates rates(kLinks, 0.01);
  for (uint32_t flow = 0; flow < 20'000; ++flow) rates.add(FlowId{flow}, kPath, kBytes);
  rates.solve(Time{});
  EXPECT_FALSE(rates.exact());
  EXPECT_NEAR(rates.rate(FlowId{19'999}).bytes_per_s, 5e6, 5);
  const Time half{100'000'000'000};
  for (uint32_t flow = 0; flow < 15'000; ++flow)
    ASSERT_NEAR(rates.take_out(FlowId{flow}, half), kBytes / 2, 1) << "flow " << flow;
  rates.solve(half);
  EXPECT_TRUE(rates.exact());
  rates.check_certificate();
  EXPECT_EQ(rates.live(), 5'000u);
  EXPECT_NEAR(rates.rate(FlowId{19'999}).bytes_per_s, 20e6, 1);
  EXPECT_NEAR(rates.take_out(FlowId{17'000}, half + 10_ms), 0.3e6, 1);
  EXPECT_NEAR((rates.next_finish() - half).seconds(), 0.025, 1e-7);
}

// A burst of 6,000 beside 6,000 that are solved exactly: with 12,000 in all, everyone is batched. The first have 100
// GB/s / 6,000 for 1 ms, 16,667 B each, and then share with the others.
TEST(FlowRates, TakesOverExactFlowsWhenABurstComes) {
  FlowRates rates(kLinks, 0.01);
  for (uint32_t flow = 0; flow < 6'000; ++flow) rates.add(FlowId{flow}, kPath, kBytes);
  rates.solve(Time{});
  EXPECT_TRUE(rates.exact());
  for (uint32_t flow = 6'000; flow < 12'000; ++flow) rates.add(FlowId{flow}, kPath, kBytes);
  rates.solve(Time{} + 1_ms);
  EXPECT_FALSE(rates.exact());
  EXPECT_EQ(rates.live(), 12'000u);
  EXPECT_NEAR(rates.rate(FlowId{0}).bytes_per_s, 100e9 / 12'000, 10);
  EXPECT_NEAR(rates.take_out(FlowId{0}, Time{} + 1_ms), kBytes - 100e9 / 6'000 * 1e-3, 1);
  EXPECT_NEAR(rates.take_out(FlowId{11'999}, Time{} + 2_ms), kBytes - 100e9 / 12'000 * 1e-3, 1);
}

TEST(FlowRates, IsExactWithoutATolerance) {
  FlowRates rates(kLinks, 0);
  for (uint32_t flow = 0; flow < 20'000; ++flow) rates.add(FlowId{flow}, kPath, kBytes);
  rates.solve(Time{});
  EXPECT_TRUE(rates.exact());
  rates.check_certificate();
  EXPECT_EQ(rates.solves(), 1u);
}

}  // namespace
}  // namespace moesim
