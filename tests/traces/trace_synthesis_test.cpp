#include "traces/trace_synthesis.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/random_network.h"
#include "tests/traces/trace_cases.h"
#include "traces/presets.h"
#include "traces/routing_trace_file.h"
#include "traces/synthesis_fit.h"

namespace moesim {
namespace {

const std::string kSample = std::string(MOESIM_SOURCE_DIR) + "/traces/samples/moe64k8-sample.h5";

RoutingTrace small_trace(Rng& rng) {
  RoutingTrace trace = synthetic_trace({}, {.layers = 4, .experts = 12, .top_k = 3}, rng.next(), 0, 600);
  for (int64_t token = 0; token < trace.tokens; ++token) {
    trace.token.push_back(int32_t(rng.below(9)));
    trace.request.push_back(int32_t(token / 30));
    trace.domain.push_back(int32_t(token / 30 % 2));
  }
  return trace;
}

RoutingShape shape_of(const RoutingTrace& trace) { return {trace.layers, trace.experts, trace.top_k}; }

std::vector<uint16_t> row_of(const RoutingTrace& trace, int64_t token) {
  const auto row = token_row(trace, token);
  return {row.begin(), row.end()};
}

TEST(TraceSynthesis, MakesValidTracesOfAnyShapeWithWhateverRates) {
  for_each_seed(60, [](Rng& rng) {
    RoutingTrace recorded = rng.below(2) == 0 ? small_trace(rng) : random_trace(rng, 9, true);
    const TraceTemplates templates = trace_templates(recorded);
    SynthesisOptions options;
    options.shape = {rng.between(1, 12), rng.between(1, 30), 1};
    options.shape.top_k = rng.between(1, std::min<int64_t>(6, options.shape.experts));
    options.tokens = rng.between(1, 2000);
    options.seed = rng.next();
    options.rates = {rng.uniform(), rng.uniform()};
    const RoutingTrace made = synthesise(templates, options);
    EXPECT_EQ(made.tokens, options.tokens);
    EXPECT_TRUE(check_trace(made).empty()) << check_trace(made)[0].message;
  });
}

TEST(TraceSynthesis, GivesTheSameTokensHoweverTheyAreAskedFor) {
  Rng rng(1);
  const TraceTemplates templates = trace_templates(small_trace(rng));
  const SynthesisOptions options{shape_of(templates.rows), 1000, 3, {0.2, 0.1}};
  const RoutingTrace whole = synthesise(templates, options);
  TraceSynthesizer pieces(templates, options);
  RoutingTrace block;
  std::vector<uint16_t> ids;
  for (int64_t tokens = 1; pieces.counts().tokens < 1000; ++tokens) {
    pieces.next_block(tokens, block);
    ids.insert(ids.end(), block.ids.begin(), block.ids.end());
  }
  EXPECT_EQ(ids, whole.ids);
  pieces.next_block(5, block);
  EXPECT_EQ(block.tokens, 0);
}

// Two documents of a domain in each half: without jumps and swaps each is repeated whole, and none is left out.
TEST(TraceSynthesis, WithoutJumpsAndSwapsRepeatsEveryRecordedTokenOnce) {
  Rng rng(2);
  const RoutingTrace recorded = small_trace(rng);
  const TraceTemplates templates = trace_templates(recorded);
  const RoutingTrace made = synthesise(templates, {shape_of(recorded), recorded.tokens, 1, {}});
  std::multiset<std::vector<uint16_t>> before;
  std::multiset<std::vector<uint16_t>> after;
  for (int64_t token = 0; token < recorded.tokens; ++token) {
    before.insert(row_of(recorded, token));
    after.insert(row_of(made, token));
  }
  EXPECT_EQ(before, after);
  EXPECT_EQ(made.domain, recorded.domain);
}

// A jump goes on behind a token of the same id, so every pair of neighbouring ids was recorded somewhere in the same
// domain; every row is the row of a token of that id in the same half.
TEST(TraceSynthesis, KeepsIdsWithTheirRowsNeighboursDomainsAndHalves) {
  for_each_seed(10, [](Rng& rng) {
    const RoutingTrace recorded = small_trace(rng);
    const TraceTemplates templates = trace_templates(recorded);
    if (templates.drifts) return;
    std::set<std::tuple<bool, int32_t, int32_t, std::vector<uint16_t>>> rows;
    std::set<std::tuple<int32_t, int32_t, int32_t>> neighbours;
    for (int64_t token = 0; token < recorded.tokens; ++token) {
      const size_t at = size_t(token);
      rows.insert({token < 300, recorded.domain[at], recorded.token[at], row_of(recorded, token)});
      if (token % 30 > 0) neighbours.insert({recorded.domain[at], recorded.token[at - 1], recorded.token[at]});
    }
    const RoutingTrace made = synthesise(templates, {shape_of(recorded), 1200, rng.next(), {0.3, 0}});
    for (int64_t token = 0; token < made.tokens; ++token) {
      const size_t at = size_t(token);
      ASSERT_TRUE(rows.contains({token < 600, made.domain[at], made.token[at], row_of(made, token)})) << token;
      if (made.position[at] == 0) continue;
      ASSERT_TRUE(neighbours.contains({made.domain[at], made.token[at - 1], made.token[at]}));
    }
  });
}

// A swap takes the deeper layers from a token of the same id with the same first choice in the layer before: so each
// step from a layer to the next was recorded for that id.
TEST(TraceSynthesis, SwapsOnlyBetweenTokensThatShareIdAndFirstChoice) {
  Rng rng(4);
  const RoutingTrace recorded = small_trace(rng);
  const TraceTemplates templates = trace_templates(recorded);
  std::set<std::tuple<int32_t, int64_t, uint16_t, uint16_t>> steps;
  for (int64_t token = 0; token < recorded.tokens; ++token)
    for (int64_t layer = 0; layer < 3; ++layer)
      steps.insert({recorded.token[size_t(token)], layer, choices(recorded, token, layer)[0],
                    choices(recorded, token, layer + 1)[0]});
  TraceSynthesizer synthesizer(templates, {shape_of(recorded), 3000, 1, {0.1, 0.5}});
  RoutingTrace made;
  synthesizer.next_block(3000, made);
  EXPECT_GT(synthesizer.counts().new_rows, 100);
  for (int64_t token = 0; token < made.tokens; ++token)
    for (int64_t layer = 0; layer < 3; ++layer)
      ASSERT_TRUE(steps.contains(
          {made.token[size_t(token)], layer, choices(made, token, layer)[0], choices(made, token, layer + 1)[0]}));
}

TEST(TraceSynthesis, OfALongerTraceKeepsTheMixtureOfDomainsAtEveryTime) {
  Rng rng(5);
  RoutingTrace recorded = small_trace(rng);
  for (int64_t token = 0; token < recorded.tokens; ++token)  // all of domain 0 first
    recorded.domain[size_t(token)] = token < 420 ? 0 : 1;
  const RoutingTrace made = synthesise(trace_templates(recorded), {shape_of(recorded), 6000, 1, {0.1, 0.1}});
  int64_t of_first = 0;
  for (int64_t token = 0; token < made.tokens; ++token) {
    of_first += made.domain[size_t(token)] == 0;
    if (token == 3000) {
      EXPECT_NEAR(double(of_first), 3000, 60);
    }
  }
  EXPECT_NEAR(double(of_first), 4200, 60);
}

TEST(TraceTemplates, TellDriftFromNoDrift) {
  Rng rng(6);
  RoutingTrace steady = small_trace(rng);
  EXPECT_FALSE(trace_templates(steady).drifts);
  RoutingTrace drifting = steady;
  for (int64_t token = 0; token < drifting.tokens; ++token)  // experts move on all the time
    for (int64_t i = 0; i < 12; ++i) {
      uint16_t& id = drifting.ids[size_t(token * 12 + i)];
      id = uint16_t((id / 4 + token / 100) % 12);
    }
  EXPECT_TRUE(trace_templates(drifting).drifts);
}

TEST(TraceTemplates, AreCutIntoHalvesWithEquallyManyDocumentsOfEachDomain) {
  Rng rng(7);
  RoutingTrace recorded = small_trace(rng);
  for (int64_t token = 0; token < 30; ++token) recorded.domain[size_t(token)] = 5;  // one document: in no half
  const TraceHalves halves = trace_halves(trace_templates(recorded));
  const auto count = [](const std::vector<int32_t>& domains, int32_t domain) {
    return std::count(domains.begin(), domains.end(), domain);
  };
  for (const int32_t domain : {0, 1, 5})
    EXPECT_EQ(count(halves.fitted.domain, domain), count(halves.held_out.domain, domain));
  EXPECT_EQ(count(halves.fitted.domain, 5), 0);
  for (const int32_t request : halves.fitted.request)
    EXPECT_EQ(std::count(halves.held_out.request.begin(), halves.held_out.request.end(), request), 0);
}

TEST(SynthesisFit, OfTheSampleMeetsTheBarsAndLeavesTheRecordedText) {
  const TraceTemplates templates = trace_templates(read_routing_trace(kSample));
  const std::vector<SynthesisTry> tries = fit_rates(templates, 0);
  EXPECT_TRUE(meets(tries.back().difference, SynthesisBars{}));
  EXPECT_GT(tries.back().rates.jump, 0);
  EXPECT_EQ(tries.back().difference.domains, 0);
}

TEST(TraceComparison, OfATraceWithItselfFindsNoDifference) {
  Rng rng(8);
  const TraceFingerprint fingerprint = trace_fingerprint(small_trace(rng));
  const TraceDifference difference = trace_difference(fingerprint, fingerprint);
  EXPECT_EQ(difference.load + difference.information + difference.lru_by_layer + difference.lru_of_all, 0);
  EXPECT_EQ(difference.kept_choices + difference.token_table + difference.drift + difference.domain_skew, 0);
  EXPECT_NEAR(difference.domains, 0, 1e-12);
}

// All marginals are kept, and all else is lost, where each layer's choices are dealt to other tokens.
TEST(TraceComparison, SeesThroughTracesWithTheRightMarginalsOnly) {
  RoutingTrace recorded = read_routing_trace(kSample);
  RoutingTrace dealt = recorded;
  Rng rng(9);
  std::vector<int64_t> order(size_t(recorded.tokens));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t layer = 0; layer < recorded.layers; ++layer) {
    rng.shuffle(std::span(order));
    for (int64_t token = 0; token < recorded.tokens; ++token)
      std::copy_n(choices(recorded, order[size_t(token)], layer).begin(), recorded.top_k,
                  dealt.ids.begin() + (token * recorded.layers + layer) * recorded.top_k);
  }
  const TraceDifference difference = trace_difference(trace_fingerprint(recorded), trace_fingerprint(dealt));
  EXPECT_EQ(difference.load, 0);
  EXPECT_GT(difference.information, 0.5);
  EXPECT_GT(difference.lru_by_layer, 0.1);
}

}  // namespace
}  // namespace moesim
