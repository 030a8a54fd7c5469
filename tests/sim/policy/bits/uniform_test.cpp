// uniform, and what holds of every policy of expert bits.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/bit_case.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

TEST(EveryExpertBits, GivesEachExpertAWidthAndDecidesTheSameTwice) {
  for (const auto& entry : Registry<BitPolicy>::instance().entries())
    for_each_seed(100, [&](Rng& rng) {
      SCOPED_TRACE(entry.name);
      const BitCase c = random_bit_case(rng);
      const std::vector<double> bits = entry.decide(c.input(), entry.default_options(), rng);
      check_bits(c.input(), bits);
      EXPECT_EQ(entry.decide(c.input(), entry.default_options(), rng), bits);
    });
}

TEST(EveryExpertBits, KnowsAnExpertByItsLoadAndNotByItsNumber) {
  for (const auto& entry : Registry<BitPolicy>::instance().entries())
    for_each_seed(50, [&](Rng& rng) {
      SCOPED_TRACE(entry.name);
      BitCase c{1, int32_t(rng.between(2, 30)), {}, {}};
      for (int32_t expert = 0; expert < c.experts; ++expert) c.past_load.push_back(100 + 7 * expert);
      rng.shuffle(std::span(c.past_load));
      std::vector<double> bits = entry.decide(c.input(), entry.default_options(), rng);
      std::vector<std::pair<int64_t, double>> by_load;
      for (size_t item = 0; item < bits.size(); ++item) by_load.push_back({c.past_load[item], bits[item]});
      std::sort(by_load.begin(), by_load.end());
      for (size_t i = 1; i < by_load.size(); ++i) EXPECT_LE(by_load[i - 1].second, by_load[i].second);
    });
}

TEST(UniformBits, AreTheSameForEveryExpert) {
  const BitCase c{2, 2, {1, 2, 3, 4}, {}};
  EXPECT_EQ(bits_by_settings("uniform", "", c.input()), std::vector<double>(4, 16));
  EXPECT_EQ(bits_by_settings("uniform", R"("bits": 0.8)", c.input()), std::vector<double>(4, 0.8));
  EXPECT_THROW(bits_by_settings("uniform", R"("bits": 0)", c.input()), ConfigError);
  EXPECT_THROW(bits_by_settings("uniform", R"("bits": 32)", c.input()), ConfigError);
}

}  // namespace
}  // namespace moesim
