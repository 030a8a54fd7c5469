#include "traces/routing_trace.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/traces/trace_cases.h"
#include "traces/half.h"
#include "traces/stored_choices.h"

namespace moesim {
namespace {

TEST(RoutingTrace, GivesTheChoicesOfATokenInALayer) {
  RoutingTrace trace = empty_trace(2, 2, 3, 12);
  std::iota(trace.ids.begin(), trace.ids.end(), uint16_t{0});
  EXPECT_EQ(choices(trace, 1, 0)[0], 6);  // a token has 2 x 3 choices
  EXPECT_EQ(choices(trace, 1, 1)[2], 11);
  EXPECT_EQ(token_row(trace, 1).size(), 6u);
}

TEST(RoutingTrace, IsSoundWhenItsArraysFitItsCounts) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    EXPECT_TRUE(check_trace(random_trace(rng, 6, true)).empty());
  }
}

// A choice of an expert that is not there, one of the same expert twice, a wrong length, a phase, a negative weight:
// each spoils a sound trace, and is named by the array that it is in.
TEST(RoutingTrace, NamesEveryFault) {
  Rng rng(1);
  RoutingTrace sound = empty_trace(4, 2, 2, 8);
  for (size_t i = 0; i < sound.ids.size(); ++i) sound.ids[i] = uint16_t(i % 8);
  sound.phase = {0, 1, 0, 1};
  sound.gate.assign(16, 0.5f);
  ASSERT_TRUE(check_trace(sound).empty());

  const auto fault_of = [&](auto spoil) {
    RoutingTrace trace = sound;
    spoil(trace);
    const std::vector<Fault> faults = check_trace(trace);
    return faults.size() == 1 ? faults[0].path + ": " + faults[0].message : std::to_string(faults.size()) + " faults";
  };
  EXPECT_EQ(fault_of([](RoutingTrace& t) { t.ids[6] = 8; }),
            "/ids: token 1, layer 1 chooses expert 8, but there are 8");
  EXPECT_EQ(fault_of([](RoutingTrace& t) { t.ids[6] = t.ids[7]; }), "/ids: token 1, layer 1 chooses expert 7 twice");
  EXPECT_EQ(fault_of([](RoutingTrace& t) { t.ids.pop_back(); }), "/ids: has 15 values, but must have 16");
  EXPECT_EQ(fault_of([](RoutingTrace& t) { t.phase[2] = 2; }), "/phase: token 2 has 2, but it must be 0 to 1");
  EXPECT_EQ(fault_of([](RoutingTrace& t) { t.rank = {0}; }), "/rank: has 1 values, but must have 4");
  EXPECT_EQ(fault_of([](RoutingTrace& t) { t.gate[5] = -1; }),
            "/gate: token 1 has the weight -1, which is negative or not finite");
  EXPECT_EQ(fault_of([](RoutingTrace& t) { t.top_k = 9, t.ids.clear(); }), ": top_k is 9, but there are 8 experts");
  EXPECT_EQ(fault_of([](RoutingTrace& t) { t.ids[0] = t.ids[1] = kDropped; }), "0 faults");
  EXPECT_EQ(fault_of([](RoutingTrace& t) { t.ids[6] = 8, t.ids[0] = t.ids[1], t.phase[0] = -1; }), "3 faults");
}

TEST(RoutingTrace, WithAbsurdCountsIsRefusedWithoutOverflow) {
  RoutingTrace trace;
  trace.tokens = trace.layers = trace.top_k = trace.experts = INT64_MAX;
  EXPECT_EQ(check_trace(trace).size(), 4u);
  trace.tokens = -1;
  EXPECT_EQ(check_trace(trace).size(), 4u);
}

TEST(StoredChoices, MarkDroppedOnesWhereTheTypeLeavesANumber) {
  EXPECT_EQ(dropped_marker(false, 1, 64), 255);
  EXPECT_EQ(dropped_marker(false, 1, 256), kDropped);  // 255 is the last of 256 experts
  EXPECT_EQ(dropped_marker(false, 2, 64), kDropped);
  EXPECT_EQ(dropped_marker(true, 4, 64), -1);
}

TEST(Half, OfEveryBitPatternComesBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = float_of_half(uint16_t(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(half_of_float(value), bits);
  }
  EXPECT_EQ(float_of_half(0x3C00), 1.0f);  // exponent 15 - 15 = 0, mantissa 0
  EXPECT_EQ(float_of_half(0x0001), 0x1p-24f);
  EXPECT_EQ(float_of_half(0xFBFF), -65504.0f);  // -(2 - 2^-10) * 2^15
  EXPECT_NE(float_of_half(half_of_float(0.1f)), 0.1f);
}

}  // namespace
}  // namespace moesim
