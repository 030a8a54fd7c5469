#include "traces/document_supply.h"

#include <gtest/gtest.h>

#include "tests/traces/trace_cases.h"

namespace moesim {
namespace {

// Requests 5 and 6 lie between each other; 7 is of another domain.
RoutingTrace three_documents() {
  RoutingTrace trace = empty_trace(7, 1, 1, 2);
  trace.request = {5, 5, 6, 5, 6, 7, 7};
  trace.domain = {0, 0, 0, 0, 0, 3, 3};
  return trace;
}

TEST(TraceDocuments, JoinTheStretchesOfARequest) {
  const auto documents = trace_documents(three_documents());
  ASSERT_EQ(documents.size(), 3u);
  EXPECT_EQ(documents[0].tokens, 3);
  ASSERT_EQ(documents[0].stretches.size(), 2u);
  EXPECT_EQ(documents[0].stretches[1].first, 3);
  EXPECT_EQ(documents[1].tokens, 2);
  EXPECT_EQ(documents[2].domain, 3);
}

TEST(TraceDocuments, WithoutRequestsAreStretchesOfADomain) {
  RoutingTrace trace = three_documents();
  trace.request.clear();
  const auto documents = trace_documents(trace);
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].tokens, 5);
  trace.domain.clear();
  EXPECT_EQ(trace_documents(trace).size(), 1u);
}

TEST(DocumentSupply, GivesARequestWholeDocumentsOfOneDomainInOrderAndGoesOnBehindThem) {
  RoutingTrace trace = three_documents();
  trace.domain.assign(7, 0);
  DocumentSupply supply(trace_documents(trace));
  Rng rng(1);
  TimedRequest first{{}, 3, 1};  // document 0 has 3 tokens, so one of document 1 is needed too
  TimedRequest second{{}, 2, 0};
  supply.assign(first, rng);
  supply.assign(second, rng);
  EXPECT_EQ(first.document, 0);
  EXPECT_EQ(second.document, 2);
  const auto ranges = supply.tokens_of(first);
  ASSERT_EQ(ranges.size(), 3u);  // tokens 0 and 1, 3, then 2
  EXPECT_EQ(ranges[1].first, 3);
  EXPECT_EQ(ranges[2].first, 2);
  EXPECT_EQ(ranges[2].count, 1);
}

TEST(DocumentSupply, NeverLeavesTheDomainAndGivesEveryTokenARoute) {
  Rng rng(2);
  RoutingTrace trace = empty_trace(600, 1, 1, 2);
  for (int64_t token = 0; token < trace.tokens; ++token) {
    trace.request.push_back(int32_t(token / 7));
    trace.domain.push_back(int32_t(token / 7 % 3));
  }
  DocumentSupply supply(trace_documents(trace));
  std::vector<int64_t> of_domain(3, 0);
  for (int i = 0; i < 3000; ++i) {
    TimedRequest request{{}, rng.between(0, 300), rng.between(1, 300)};
    supply.assign(request, rng);
    ++of_domain[size_t(request.domain)];
    int64_t tokens = 0;
    for (const TokenRange& range : supply.tokens_of(request)) {
      tokens += range.count;
      for (int64_t token = range.first; token < range.first + range.count; ++token)
        ASSERT_EQ(trace.domain[size_t(token)], request.domain);
    }
    ASSERT_EQ(tokens, request.prompt_tokens + request.output_tokens);
  }
  // Domains have 203, 203 and 194 of 600 tokens: 1000 requests each, with a deviation of 26.
  for (const int64_t count : of_domain) EXPECT_NEAR(double(count), 1000, 130);
}

}  // namespace
}  // namespace moesim
