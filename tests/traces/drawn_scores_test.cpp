#include "traces/drawn_scores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace moesim {
namespace {

constexpr int64_t kTokens = 20'000;

// A first choice falls on an expert with its share of the weights; the deviation of a share p is sqrt(p (1 - p) / n).
TEST(DrawnScores, PutEachExpertFirstInProportionToItsWeight) {
  SyntheticRouting options;
  options.popularity = Popularity::zipf;
  const RoutingShape shape{2, 16, 16};
  const RoutingTrace trace = DrawnScores(options, shape, 3).draw(0, kTokens);
  const SyntheticRouter router(options, shape, 3, 0);
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    std::vector<double> first(16, 0);
    for (int64_t token = 0; token < kTokens; ++token) first[choices(trace, token, layer)[0]] += 1.0 / double(kTokens);
    const auto weights = router.weights(layer);
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (size_t expert = 0; expert < 16; ++expert) {
      const double share = weights[expert] / sum;
      EXPECT_NEAR(first[expert], share, 4.5 * std::sqrt(share * (1 - share) / double(kTokens)));
    }
  }
}

TEST(DrawnScores, AddUpToOneAndAreAValidTrace) {
  const RoutingTrace trace = DrawnScores({}, {2, 16, 16}, 3).draw(0, 50);
  EXPECT_TRUE(check_trace(trace).empty());
  for (int64_t token = 0; token < trace.tokens; ++token) {
    const auto scores = gate_weights(trace, token, 1);
    EXPECT_NEAR(std::accumulate(scores.begin(), scores.end(), 0.0), 1, 1e-5);
    EXPECT_TRUE(std::is_sorted(scores.begin(), scores.end(), std::greater<>()));
  }
}

TEST(DrawnScores, OfAWindowAreThoseOfTheWhole) {
  const DrawnScores scores({}, {2, 16, 16}, 3);
  const RoutingTrace whole = scores.draw(0, 20);
  const RoutingTrace window = scores.draw(12, 5);
  for (int64_t token = 0; token < window.tokens; ++token)
    EXPECT_TRUE(std::ranges::equal(token_row(window, token), token_row(whole, 12 + token)));
}

}  // namespace
}  // namespace moesim
