#include "sim/net/min_tree.h"

#include <gtest/gtest.h>

#include "tests/support/random_network.h"

namespace moesim {
namespace {

TEST(MinTree, KnowsTheSmallestKeyAndVisitsAllUpToAKey) {
  for_each_seed(200, [](Rng& rng) {
    const auto players = size_t(rng.between(1, 700));  // up to four floors
    MinTree tree(players);
    std::vector<int64_t> keys(players, MinTree::kOut);
    for (int round = 0; round < 20; ++round) {
      for (int64_t changes = rng.between(0, 30); changes > 0; --changes) {
        const auto player = size_t(rng.between(0, int64_t(players) - 1));
        keys[player] = rng.uniform() < 0.2 ? MinTree::kOut : rng.between(0, 50);
        tree.set(player, keys[player]);
      }
      tree.refresh();
      ASSERT_EQ(tree.least(), *std::min_element(keys.begin(), keys.end()));
      std::vector<size_t> visited, expected;
      tree.visit_up_to(20, [&](size_t player) { visited.push_back(player); });
      for (size_t player = 0; player < players; ++player)
        if (keys[player] <= 20) expected.push_back(player);
      ASSERT_EQ(visited, expected);
    }
  });
}

TEST(MinTree, WithoutPlayersHasNoSmallest) { EXPECT_EQ(MinTree(0).least(), MinTree::kOut); }

}  // namespace
}  // namespace moesim
