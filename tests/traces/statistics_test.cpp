#include "traces/statistics.h"

#include <gtest/gtest.h>

#include "tests/traces/trace_cases.h"
#include "traces/routing_trace_file.h"
#include "traces/trace_text.h"

namespace moesim {
namespace {

using Load = std::vector<int64_t>;

TraceStatistics statistics_of(const RoutingTrace& trace) {
  TraceInput input(trace, "trace");
  return trace_statistics(input, Depth::full);
}

AffinityStatistics affinity_to_next(const RoutingTrace& trace, size_t layer) {
  return *statistics_of(trace).by_layer[layer].to_next;
}

TEST(Skew, OfAnEvenLoadIsNone) {
  const Load even(8, 5);
  EXPECT_DOUBLE_EQ(max_over_mean(even), 1);
  EXPECT_DOUBLE_EQ(gini(even), 0);
  EXPECT_NEAR(entropy_bits(even), 3, 1e-12);  // log2 8
}

TEST(Skew, OfALoadOnOneExpertIsTheWorst) {
  const Load single{0, 0, 12, 0};
  EXPECT_DOUBLE_EQ(max_over_mean(single), 4);
  EXPECT_DOUBLE_EQ(gini(single), 0.75);  // (n - 1) / n
  EXPECT_DOUBLE_EQ(entropy_bits(single), 0);
}

// Loads 1, 2, 3, 4 with mean 2.5: max / mean = 1.6. The absolute differences of all 16 ordered pairs add up to
// 2 (1 + 2 + 3 + 1 + 2 + 1) = 20, and Gini = 20 / (2 * 16 * 2.5) = 0.25.
// Loads 1, 1, 2: entropy 1/4 * 2 + 1/4 * 2 + 1/2 * 1 = 1.5 bits.
TEST(Skew, IsAsByHand) {
  EXPECT_DOUBLE_EQ(max_over_mean(Load{3, 1, 4, 2}), 1.6);
  EXPECT_DOUBLE_EQ(gini(Load{3, 1, 4, 2}), 0.25);
  EXPECT_NEAR(entropy_bits(Load{1, 1, 2}), 1.5, 1e-12);
  EXPECT_EQ(contiguous_load(Load{3, 1, 4, 2}, 2), (Load{4, 6}));
}

TEST(Skew, OfNoLoadIsZero) {
  EXPECT_EQ(max_over_mean(Load{0, 0}), 0);
  EXPECT_EQ(gini(Load{0, 0}), 0);
  EXPECT_EQ(entropy_bits(Load{0, 0}), 0);
}

TEST(ExpertLoad, CountsTheChoicesOfARangeButNotTheDropped) {
  RoutingTrace trace = empty_trace(3, 1, 2, 4);
  trace.ids = {0, 1, 1, kDropped, 3, 1};
  EXPECT_EQ(expert_load(trace, 0, all_tokens(trace)), (Load{1, 3, 0, 1}));
  EXPECT_EQ(expert_load(trace, 0, {1, 1}), (Load{0, 1, 0, 0}));
}

// Every pair of first choices equally often: the layers know nothing of each other, and 1 in 8 goes each way.
TEST(Affinity, OfIndependentLayersIsZero) {
  RoutingTrace trace = empty_trace(64, 2, 1, 8);
  for (int64_t token = 0; token < 64; ++token) {
    trace.ids[size_t(2 * token)] = uint16_t(token / 8);
    trace.ids[size_t(2 * token + 1)] = uint16_t(token % 8);
  }
  const AffinityStatistics affinity = affinity_to_next(trace, 0);
  EXPECT_EQ(affinity.pairs, 64);
  EXPECT_NEAR(affinity.mutual_information_bits, 0, 1e-12);
  EXPECT_DOUBLE_EQ(affinity.concentration, 0.125);
}

// A permutation: the next choice is known for sure, which is all log2 16 = 4 bits.
TEST(Affinity, OfADeterministicChainIsTheWholeEntropy) {
  RoutingTrace trace = empty_trace(160, 2, 1, 16);
  for (int64_t token = 0; token < 160; ++token) {
    trace.ids[size_t(2 * token)] = uint16_t(token % 16);
    trace.ids[size_t(2 * token + 1)] = uint16_t(token * 5 % 16);
  }
  const AffinityStatistics affinity = affinity_to_next(trace, 0);
  EXPECT_NEAR(affinity.mutual_information_bits, 4, 1e-12);
  EXPECT_DOUBLE_EQ(affinity.concentration, 1);
}

// Pairs (0,0) twice, (0,1), (1,1): 3 of 4 go where most go. H(here) = H(3/4) = 0.811278, H(next) = 1,
// H(joint) = 1.5, so 0.311278 bit.
TEST(Affinity, IsAsByHandAndLeavesOutDroppedChoices) {
  RoutingTrace trace = empty_trace(5, 2, 1, 2);
  trace.ids = {0, 0, 0, 0, 0, 1, 1, 1, 1, kDropped};
  const AffinityStatistics affinity = affinity_to_next(trace, 0);
  EXPECT_EQ(affinity.pairs, 4);
  EXPECT_NEAR(affinity.mutual_information_bits, 0.311278, 1e-6);
  EXPECT_DOUBLE_EQ(affinity.concentration, 0.75);
}

// Domain 4 always chooses expert 0 of 4 in layer 0 (skew 4) and in turn in layer 1 (skew 1).
TEST(DomainSkew, IsThatOfTheDomainsOwnTokens) {
  RoutingTrace trace = empty_trace(8, 2, 1, 4);
  for (int64_t token = 0; token < 8; ++token) {
    trace.domain.push_back(token < 4 ? 4 : 9);
    trace.ids[size_t(2 * token)] = uint16_t(token < 4 ? 0 : token % 4);
    trace.ids[size_t(2 * token + 1)] = uint16_t(token % 4);
  }
  const std::vector<DomainStatistics> domains = statistics_of(trace).by_domain;
  ASSERT_EQ(domains.size(), 2u);
  EXPECT_EQ(domains[0].domain, 4);
  EXPECT_EQ(domains[0].max_over_mean, (std::vector<double>{4, 1}));
  EXPECT_EQ(domains[1].max_over_mean, (std::vector<double>{1, 1}));
}

// What is known of the whole recording holds of the sample: 3.2 at layer 0 and 1.0 to 1.8 bit between layers, skew
// 1.1 to 1.4 of contiguous ranks, all 11 domains, whole documents of 512 tokens.
TEST(SampleTrace, IsWhatItsReadmeSays) {
  const RoutingTrace trace = read_routing_trace(MOESIM_SOURCE_DIR "/traces/samples/moe64k8-sample.h5");
  EXPECT_EQ(std::tuple(trace.tokens, trace.layers, trace.top_k, trace.experts), std::tuple(40960, 16, 8, 64));
  EXPECT_EQ(trace.domains.size(), 11u);
  const TraceStatistics statistics = statistics_of(trace);
  EXPECT_EQ(statistics.by_domain.size(), 11u);
  EXPECT_EQ(trace.token.size(), 40960u);
  for (size_t i = 0; i < 40960; ++i) {
    ASSERT_EQ(trace.request[i], int32_t(i / 512));
    ASSERT_EQ(trace.position[i], int32_t(i % 512));
  }
  EXPECT_NEAR(max_over_mean(expert_load(trace, 0, all_tokens(trace))), 3.2, 0.1);
  for (int64_t layer = 0; layer < 16; ++layer) {
    SCOPED_TRACE(layer);
    const Load load = expert_load(trace, layer, all_tokens(trace));
    EXPECT_GT(max_over_mean(load), 1.3);
    EXPECT_LT(max_over_mean(contiguous_load(load, 8)), 1.45);
    if (layer == 15) break;
    const double information = statistics.by_layer[size_t(layer)].to_next->mutual_information_bits;
    EXPECT_GT(information, 0.95);
    EXPECT_LT(information, 1.85);
  }
}

// Each half of the file holds as many documents of a domain as the other, but for two at most.
TEST(SampleTrace, MixesItsDomainsEvenly) {
  const RoutingTrace trace = read_routing_trace(MOESIM_SOURCE_DIR "/traces/samples/moe64k8-sample.h5");
  for (int32_t domain = 0; domain < 11; ++domain) {
    const auto half = trace.domain.begin() + trace.tokens / 2;
    const int64_t before = std::count(trace.domain.begin(), half, domain);
    const int64_t after = std::count(half, trace.domain.end(), domain);
    EXPECT_LE(std::abs(before - after), 2 * 512) << domain;
  }
}

TEST(TraceText, FitsATerminalOf100Columns) {
  Rng rng(1);
  for (const int64_t experts : {6, 64, 300, 65535}) {
    RoutingTrace trace = random_trace(rng, experts, true);
    trace.model.clear();
    const std::string text = trace_info(statistics_of(trace), Glyphs::ascii);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
  }
}

// Experts 0 and 1 of 4 share the load: each twice the mean, the tallest block; the others get nothing.
TEST(TraceText, DrawsTheLoad) {
  RoutingTrace trace = empty_trace(2, 1, 2, 4);
  trace.ids = {0, 1, 1, 0};
  EXPECT_NE(trace_info(statistics_of(trace), Glyphs::unicode).find("██▁▁\n"), std::string::npos);
  EXPECT_NE(trace_info(statistics_of(trace), Glyphs::ascii).find("##  \n"), std::string::npos);
}

}  // namespace
}  // namespace moesim
