#include "sim/run/routing_source.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/core/random.h"

namespace moesim {
namespace {

// A trace of one layer and top-1 in which token t chose expert t: a choice tells which token was read.
RoutingTrace counting_trace(int64_t tokens) {
  RoutingTrace trace;
  trace.tokens = tokens;
  trace.layers = 1;
  trace.top_k = 1;
  trace.experts = tokens;
  for (int64_t token = 0; token < tokens; ++token) trace.ids.push_back(uint16_t(token));
  return trace;
}

RoutingSource source_of(const RoutingTrace& trace, int64_t train_tokens) {
  RoutingSource source;
  source.recorded = &trace;
  source.train_tokens = train_tokens;
  source.layers = 1;
  source.top_k = 1;
  return source;
}

// Eight judged tokens 4..11, two GPUs, one sequence each: they begin at 4 and 8 and go on where they were.
TEST(RouteStep, LetsEachSequenceReadOnFromAPlaceOfItsOwn) {
  const RoutingTrace trace = counting_trace(12);
  const RoutingSource source = source_of(trace, 4);
  const Layout layout{.gpus = 2, .gpus_per_node = 2, .tp = 1, .ep = 2};
  const Batch batch{{{{3, 0}}, {{3, 0}}}};
  EXPECT_EQ(route_step(source, batch, layout, 0).ids, (std::vector<uint16_t>{4, 5, 6, 8, 9, 10}));
  EXPECT_EQ(route_step(source, batch, layout, 1).ids, (std::vector<uint16_t>{7, 8, 9, 11, 4, 5}));
}

TEST(RouteStep, NeverReadsTheTrainingPart) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const RoutingTrace trace = counting_trace(rng.between(2, 100));
    const RoutingSource source = source_of(trace, rng.between(0, trace.tokens - 1));
    const Batch batch{{{{rng.between(1, 50), 0}, {1, 5}}}};
    for (int64_t step = 0; step < 3; ++step)
      for (const uint16_t token : route_step(source, batch, Layout{}, step).ids) EXPECT_GE(token, source.train_tokens);
  }
}

// Policies do not see the future: whatever the judged part holds, the loads that a placement is given stay.
TEST(PastLoad, DoesNotDependOnTheJudgedPart) {
  RoutingTrace trace = counting_trace(100);
  const auto before = past_load(source_of(trace, 40));
  std::fill(trace.ids.begin() + 40, trace.ids.end(), uint16_t{7});
  EXPECT_EQ(past_load(source_of(trace, 40)), before);
}

TEST(RouteStep, SpreadsAnAttentionRanksTokensOverItsTensorParallelGroup) {
  const RoutingTrace trace = counting_trace(20);
  const Layout layout{.gpus = 4, .gpus_per_node = 4, .tp = 2, .ep = 4};
  const StepRouting routing = route_step(source_of(trace, 0), Batch{{{{5, 0}}, {{4, 0}}}}, layout, 0);
  EXPECT_EQ(routing.first_token, (std::vector<int64_t>{0, 2, 5, 7, 9}));
}

}  // namespace
}  // namespace moesim
