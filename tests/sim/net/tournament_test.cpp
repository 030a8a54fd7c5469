#include "sim/net/tournament.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/random_network.h"

namespace moesim {
namespace {

TEST(Tournament, AlwaysNamesTheSmallestKeyAndOfEqualsTheFirst) {
  for_each_seed(100, [](Rng& rng) {
    std::vector<double> keys(size_t(rng.between(1, 40)));
    Tournament tournament;
    for (size_t i = 0; i < keys.size(); ++i) tournament.add(uint32_t(100 + i), keys[i] = double(rng.below(10)));
    tournament.begin();
    for (int change = 0; change < 100; ++change) {
      const auto first = size_t(std::min_element(keys.begin(), keys.end()) - keys.begin());
      ASSERT_EQ(tournament.winner().key, keys[first]);
      if (keys[first] == Tournament::kOut) return;
      ASSERT_EQ(tournament.winner().player, 100 + first);
      keys[first] = rng.uniform() < 0.3 ? Tournament::kOut : keys[first] + double(rng.below(5));
      tournament.set_key(tournament.winner().seat, keys[first]);
    }
  });
}

TEST(Tournament, WithoutPlayersHasNoWinner) {
  Tournament tournament;
  tournament.begin();
  EXPECT_EQ(tournament.winner().key, Tournament::kOut);
}

}  // namespace
}  // namespace moesim
