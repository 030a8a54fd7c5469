#include "sim/run/routing_source.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/core/random.h"
#include "sim/run/cluster.h"

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

// Two choices of three are recorded, one is made: the weight of the other is told all the same, that of the third is
// not known.
TEST(WiderChoices, TellTheScoresOfExpertsThatTheModelDoesNotChoose) {
  RoutingTrace trace;
  trace.tokens = 2;
  trace.layers = 1;
  trace.top_k = 2;
  trace.experts = 3;
  trace.ids = {0, 1, 2, 0};
  trace.gate = {0.5F, 0.25F, 0.75F, 0.125F};
  RoutingSource source = source_of(trace, 1);
  const Batch batch{{{{1, 0}}}};
  const std::vector<int64_t> tokens = wider_choices_of(source, batch, places_of(source, batch, 0));
  ASSERT_EQ(tokens, std::vector<int64_t>{1});
  std::vector<float> scores(3, 0);
  add_recorded_scores(source, tokens[0], 0, scores);
  EXPECT_EQ(scores, (std::vector<float>{0.125F, 0, 0.75F}));
  source.top_k = 2;
  EXPECT_TRUE(wider_choices_of(source, batch, places_of(source, batch, 0)).empty());
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

// OLMoE (top-8 of 64 in 16 layers) on two servers of two GPUs, 100 tokens each, in 4 steps.
struct Drawn {
  LoadedScenario loaded;
  Layout layout;
  Batch batch;
  RoutingSource source;
};
Drawn drawn(const std::string& synthetic, const std::vector<std::string>& settings = {}) {
  TraceStore traces;
  std::vector<std::string> all = {"/routing/trace=", "/batch=[{\"new_tokens\":100}]", "/steps=4",
                                  "/routing/synthetic=" + synthetic};
  all.insert(all.end(), settings.begin(), settings.end());
  Drawn drawn;
  drawn.loaded = load_scenario(std::string(MOESIM_SOURCE_DIR) + "/tests/golden/scenarios/tiny-trace.json", all, traces);
  drawn.layout = build_cluster(drawn.loaded).layout;
  drawn.batch = batch_of(drawn.loaded.scenario, drawn.layout);
  drawn.source = routing_of(drawn.loaded, drawn.layout, drawn.batch);
  return drawn;
}

std::vector<int64_t> live_tokens(const StepRouting& routing) {
  std::vector<int64_t> live;
  for (size_t gpu = 0; gpu + 1 < routing.first_token.size(); ++gpu) {
    live.push_back(0);
    for (int64_t token = routing.first_token[gpu]; token < routing.first_token[gpu + 1]; ++token)
      if (routing.choices(3, token)[0] != kNoExpert) ++live.back();
  }
  return live;
}

// From all of 100 to 40 of them, evenly.
TEST(DriftingRouting, PadsTheTokensOfLaterGpusWhereSourcesAreRagged) {
  const Drawn ragged = drawn(R"({"popularity":"ragged","live_min":0.4})");
  EXPECT_EQ(live_tokens(route_step(ragged.source, ragged.batch, ragged.layout, 2)),
            (std::vector<int64_t>{100, 80, 60, 40}));
  const Drawn burst = drawn(R"({"popularity":"burst"})");
  EXPECT_EQ(live_tokens(route_step(burst.source, burst.batch, burst.layout, 2)),
            (std::vector<int64_t>{100, 100, 100, 100}));
}

// What was before the first step is as the first step: with a heat at which every token chooses all eight hot experts,
// the past load is that of the first step but for its tokens, and not that of a step after the hot set has moved.
TEST(DriftingRouting, KnowsBeforehandWhatTheFirstStepIsLike) {
  const Drawn rotating = drawn(R"({"popularity":"rotating","period":2,"heat":8})");
  const auto hot_of = [](const std::vector<int64_t>& load) {
    std::vector<size_t> hot;
    for (size_t expert = 0; expert < load.size(); ++expert)
      if (load[expert] > 0) hot.push_back(expert);
    return hot;
  };
  const auto hot_in = [&](int64_t step) {
    const StepRouting routing = route_step(rotating.source, rotating.batch, rotating.layout, step);
    std::vector<int64_t> load(64, 0);
    for (int64_t token = 0; token < routing.tokens; ++token)
      for (const uint16_t expert : routing.choices(5, token)) ++load[expert];
    return hot_of(load);
  };
  const std::vector<size_t> past = hot_of(past_load(rotating.source)[5]);
  EXPECT_EQ(past.size(), 8u);
  EXPECT_EQ(hot_in(0), past);
  EXPECT_EQ(hot_in(1), past);
  EXPECT_NE(hot_in(2), past);
}

TEST(DriftingRouting, DrawsOtherTokensInEveryStepAndTheSameForTheSameSeed) {
  const Drawn one = drawn(R"({"popularity":"balanced"})");
  const Drawn same = drawn(R"({"popularity":"balanced"})");
  const Drawn other = drawn(R"({"popularity":"balanced"})", {"/seed=2"});
  const auto ids = [](const Drawn& d, int64_t step) { return route_step(d.source, d.batch, d.layout, step).ids; };
  EXPECT_EQ(ids(one, 1), ids(same, 1));
  EXPECT_NE(ids(one, 1), ids(one, 2));
  EXPECT_NE(ids(one, 1), ids(other, 1));
}

// LongCat-Flash: of its experts 256 of 768 compute nothing; a token's choices of them reach none.
TEST(DriftingRouting, DropsChoicesOfZeroExperts) {
  const Drawn longcat = drawn(R"({"popularity":"balanced"})", {"/model=longcat-flash"});
  const StepRouting routing = route_step(longcat.source, longcat.batch, longcat.layout, 0);
  int64_t none = 0;
  for (const uint16_t expert : routing.ids) {
    if (expert == kNoExpert) ++none;
    EXPECT_TRUE(expert == kNoExpert || expert < 512);
  }
  EXPECT_NEAR(double(none) / double(routing.ids.size()), 1.0 / 3, 0.02);
}

}  // namespace
}  // namespace moesim
