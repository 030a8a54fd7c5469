#include "traces/synthetic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tests/traces/trace_cases.h"
#include "traces/statistics.h"

namespace moesim {
namespace {

SyntheticRouting zipf(double exponent) { return {Popularity::zipf, exponent, 0, {}, 0}; }

TEST(Synthetic, GivesEachTokenDistinctExperts) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    SyntheticRouting options;
    options.popularity =
        std::array{Popularity::uniform, Popularity::zipf, Popularity::log_normal, Popularity::per_layer}[rng.below(4)];
    options.exponent = 8 * rng.uniform();  // up to one expert that holds nearly everything
    options.sigma = 8 * rng.uniform();
    options.skews = {0, 8 * rng.uniform()};
    const int64_t experts = rng.between(1, 40);
    const RoutingShape shape{rng.between(1, 4), experts, rng.between(1, experts)};
    EXPECT_TRUE(check_trace(synthetic_trace(options, shape, seed, 0, 20)).empty());
  }
}

TEST(Synthetic, TakesEveryExpertWhenTopKIsAllOfThem) {
  const RoutingTrace trace = synthetic_trace(zipf(8), {1, 16, 16}, 1, 0, 50);
  for (const int64_t load : expert_load(trace, 0, all_tokens(trace))) EXPECT_EQ(load, 50);
}

// Top-1 choices are binomial: the count of an expert lies within 5 deviations of tokens x share, for each of 32
// experts in 4 layers and each kind of popularity. One in 1.7 million counts would not.
TEST(Synthetic, ChoosesExpertsByTheirWeights) {
  const int64_t tokens = 20000;
  for (const Popularity popularity :
       {Popularity::uniform, Popularity::zipf, Popularity::log_normal, Popularity::per_layer}) {
    const SyntheticRouting options{popularity, 1.2, 1.0, {0.3, 2.0}, 0};
    const RoutingTrace trace = synthetic_trace(options, {4, 32, 1}, 5, 0, tokens);
    const SyntheticRouter router(options, {4, 32, 1}, 5, 0);
    for (int64_t layer = 0; layer < 4; ++layer) {
      const std::span<const double> weights = router.weights(layer);
      const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
      const std::vector<int64_t> load = expert_load(trace, layer, all_tokens(trace));
      for (size_t expert = 0; expert < 32; ++expert) {
        const double share = weights[expert] / sum;
        EXPECT_NEAR(double(load[expert]), double(tokens) * share,
                    5 * std::sqrt(double(tokens) * share * (1 - share)) + 1)
            << enum_names(popularity)[size_t(popularity)].second << ", layer " << layer << ", expert " << expert;
      }
    }
  }
}

// Weights 1, 1/4 (Zipf of exponent 2) and 2 of 3 experts, drawn without replacement. The expert of weight 1 is left
// out when the second and the third come first, in either order. With a = 1, b = 1/4, c = 1/9 and s = a + b + c:
//   b/s * c/(s - b) + c/s * b/(s - c) = 0.183673 * 0.1 + 0.081633 * 0.2 = 0.034694.
TEST(Synthetic, DrawsWithoutReplacement) {
  const int64_t tokens = 40000;
  const RoutingTrace trace = synthetic_trace(zipf(2), {1, 3, 2}, 9, 0, tokens);
  std::vector<int64_t> load = expert_load(trace, 0, all_tokens(trace));
  const double left_out = double(tokens - *std::max_element(load.begin(), load.end())) / double(tokens);
  EXPECT_NEAR(left_out, 0.034694, 5 * std::sqrt(0.034694 * 0.965306 / double(tokens)));
}

TEST(Synthetic, WindowsOfTokensFitTogether) {
  const RoutingShape shape{3, 64, 4};
  const RoutingTrace whole = synthetic_trace({}, shape, 2, 0, 100);
  const RoutingTrace window = synthetic_trace({}, shape, 2, 40, 10);
  for (int64_t token = 0; token < 10; ++token) {
    const std::span<const uint16_t> row = token_row(window, token);
    EXPECT_TRUE(std::equal(row.begin(), row.end(), token_row(whole, 40 + token).begin()));
  }
}

// Top-1 of 100 like experts: a token takes over the expert before with probability 0.5, else draws it with 0.01, so
// that 0.505 of the pairs agree; over 20,000 tokens five deviations of a mean are 0.018.
TEST(Synthetic, TokensRepeatTheExpertsOfThoseBeforeThem) {
  SyntheticRouting options = zipf(0);
  options.repeat = 0.5;
  const RoutingShape shape{1, 100, 1};
  const RoutingTrace trace = synthetic_trace(options, shape, 1, 0, 20000);
  int64_t same = 0;
  for (size_t token = 1; token < trace.ids.size(); ++token) same += trace.ids[token] == trace.ids[token - 1] ? 1 : 0;
  EXPECT_NEAR(double(same) / 20000, 0.505, 0.018);
  // A window that begins within a text knows what came before it.
  const RoutingTrace window = synthetic_trace(options, shape, 1, 700, 1000);
  EXPECT_TRUE(std::equal(window.ids.begin(), window.ids.end(), trace.ids.begin() + 700));
}

TEST(Synthetic, RepeatingTokensChooseDistinctExperts) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    SyntheticRouting options = zipf(4 * rng.uniform());
    options.repeat = rng.uniform();
    const int64_t experts = rng.between(1, 20);
    EXPECT_TRUE(check_trace(synthetic_trace(options, {3, experts, rng.between(1, experts)}, seed, 500, 40)).empty());
  }
}

TEST(Synthetic, StreamsAreOtherTokensOfTheSamePopularity) {
  SyntheticRouting options;
  const SyntheticRouter first(options, {2, 16, 2}, 3, 0);
  const RoutingTrace first_tokens = synthetic_trace(options, {2, 16, 2}, 3, 0, 50);
  options.stream = 1;
  const SyntheticRouter second(options, {2, 16, 2}, 3, 0);
  EXPECT_TRUE(std::equal(first.weights(1).begin(), first.weights(1).end(), second.weights(1).begin()));
  EXPECT_NE(synthetic_trace(options, {2, 16, 2}, 3, 0, 50).ids, first_tokens.ids);
}

// Tokens are of the domains that the mixture has, and what a part draws does not depend on the others. A second mixture
// has other shares of the same domains.
TEST(Synthetic, DomainsComeInOneMixtureAPart) {
  SyntheticRouting options;
  options.popularity = Popularity::domains;
  options.domains = 4;
  const RoutingShape shape{2, 16, 2};
  const std::array<SyntheticPart, 2> parts = {{{0, 4000, 0}, {4000, 4000, 1}}};
  const RoutingTrace trace = synthetic_trace(options, shape, 3, parts);
  EXPECT_TRUE(check_trace(trace).empty());
  ASSERT_EQ(trace.domain.size(), 8000u);
  const RoutingTrace alone = synthetic_trace(options, shape, 3, 0, 4000);
  EXPECT_TRUE(std::equal(alone.ids.begin(), alone.ids.end(), trace.ids.begin()));
  EXPECT_TRUE(std::equal(alone.domain.begin(), alone.domain.end(), trace.domain.begin()));
  std::array<std::array<double, 4>, 2> tokens{};
  for (size_t token = 0; token < 8000; ++token) ++tokens[token / 4000][size_t(trace.domain[token])];
  double change = 0;
  for (size_t domain = 0; domain < 4; ++domain) change += std::abs(tokens[0][domain] - tokens[1][domain]);
  EXPECT_GT(change, 400);  // equal shares would differ by chance alone: by 5 x sqrt(4000) / 2 a domain at the very most
}

}  // namespace
}  // namespace moesim
