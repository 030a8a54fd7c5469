// What every policy of caches must do, and sequences of the classic ones that are derived by hand.
#include "sim/moe/offload/cache.h"

#include <gtest/gtest.h>

#include "sim/config/reader.h"
#include "tests/support/cache_player.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

using Choice = PolicyChoice<CachePolicy>;
using Items = std::vector<ExpertItem>;

Choice chosen(const char* json) {
  Choice choice;
  std::vector<Fault> faults;
  choice.read(parse_json(json, "a.json"), Place{}, faults);
  throw_if_any("a.json", faults);
  return choice;
}

Items victims(const char* policy, const CacheGame& game) { return CachePlayer(game, chosen(policy)).play().victims(); }

// Layers in turn; each needs a few experts, brings some of any layer early, and may have a forecast.
CacheGame random_game(Rng& rng) {
  CacheGame game{.layers = int32_t(rng.between(1, 4)), .experts = int32_t(rng.between(2, 12))};
  game.partition = rng.below(2) == 0 ? CachePartition::layer : CachePartition::global;
  game.places = rng.between(1, game.partition == CachePartition::layer ? game.experts : int64_t(game.items()));
  game.top_k = int32_t(rng.between(1, 2));
  for (size_t item = 0; item < game.items(); ++item) game.past_load.push_back(rng.between(0, 5));
  for (int32_t turn = 0; turn < 60; ++turn) {
    CacheTurn& next = game.turns.emplace_back(CacheTurn{.layer = turn % game.layers});
    for (int32_t expert = 0; expert < game.experts; ++expert)
      if (rng.below(5) == 0) next.items.push_back(next.layer * game.experts + expert);
    if (rng.below(3) == 0) next.early.push_back(int32_t(rng.below(game.items())));
    if (rng.below(2) == 0)
      for (size_t item = 0; item < game.items(); ++item) next.forecast.push_back(float(rng.below(3)));
  }
  return game;
}

// The player expects that a victim is one of the candidates.
TEST(EveryCache, LetsACandidateLeaveAndRemembersInItsStateAlone) {
  for (const auto& entry : Registry<CachePolicy>::instance().entries())
    for_each_seed(100, [&](Rng& rng) {
      SCOPED_TRACE(entry.name);
      const CacheGame game = random_game(rng);
      CachePlayer player(game, Choice(entry.name));
      for (int64_t turns = rng.between(0, 59); turns > 0; --turns) player.play_turn();
      CachePlayer copy = player;
      const Items after = player.play().victims();
      EXPECT_EQ(copy.play().victims(), after);
      EXPECT_EQ(CachePlayer(game, Choice(entry.name)).play().victims(), after);
    });
}

// 0 is used after it came, so 1 is the oldest use when 2 comes, and 0 when 1 comes back.
TEST(Lru, LetsTheOldestUseLeave) { EXPECT_EQ(victims(R"("lru")", game_of(3, 2, {0, 1, 0, 2, 1})), (Items{1, 0})); }

TEST(Fifo, DoesNotCountUses) { EXPECT_EQ(victims(R"("fifo")", game_of(3, 2, {0, 1, 0, 2, 1})), (Items{0})); }

TEST(Lifo, KeepsWhatCameFirst) { EXPECT_EQ(victims(R"("lifo")", game_of(4, 2, {0, 1, 2, 3, 1})), (Items{1, 2, 3})); }

// When 2 comes, 0 has two uses and 1 has one; when 1 comes back, 2 has one.
TEST(Lfu, LetsTheFewestUsesLeave) { EXPECT_EQ(victims(R"("lfu")", game_of(3, 2, {0, 0, 1, 2, 1})), (Items{1, 2})); }

// Four uses of 0 and three of 1, when 2 comes. Halved at the fourth access and at the eighth: (4 / 2) / 2 = 1 use of 0
// and 3 / 2 of 1.
TEST(Lfu, LetsOldUsesFade) {
  const CacheGame game = game_of(3, 2, {0, 0, 0, 0, 1, 1, 1, 2});
  EXPECT_EQ(victims(R"("lfu")", game), (Items{1}));
  EXPECT_EQ(victims(R"({"policy": "lfu", "half_life": 4})", game), (Items{0}));
}

// Uses at 1, 2 (of 0), 3 (1), 4 (2), 5 (1), 6 (2). When 2 comes, 1 has been used once; when 1 comes back, 2 has; when 2
// comes back at 6, the last use but one is at 1 of 0 and at 3 of 1.
TEST(LruK, LetsTheOldestLastUseButOneLeave) {
  const CacheGame game = game_of(3, 2, {0, 0, 1, 2, 1, 2});
  EXPECT_EQ(victims(R"("lru_k")", game), (Items{1, 2, 0}));
  EXPECT_EQ(victims(R"({"policy": "lru_k", "k": 1})", game), victims(R"("lru")", game));
}

// Two experts that were used twice stay when six others are used once each; an LRU cache loses them.
TEST(Arc, ResistsAScan) {
  const CacheGame game = game_of(10, 4, {0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1});
  EXPECT_EQ(CachePlayer(game, Choice("arc")).play().hits(), 4);
  EXPECT_EQ(CachePlayer(game, Choice("lru")).play().hits(), 2);
}

// Two places. 0 is used twice, so it is frequent; 1 is recent, and leaves when 2 comes. 1 comes back while it is
// remembered: the target of the recent list grows to 1, which is its length, so the frequent 0 leaves. 0 comes back
// while it is remembered: the target falls to 0, and the recent 2 leaves.
TEST(Arc, FollowsTheListThatWouldHaveHit) {
  EXPECT_EQ(victims(R"("arc")", game_of(3, 2, {0, 0, 1, 2, 1, 0})), (Items{1, 0, 2}));
}

// Places of one layer know nothing of what happens in another: layer 1's scan teaches layer 0 nothing.
TEST(Arc, IsOneForEachLayerWhereLayersHavePlacesOfTheirOwn) {
  CacheGame game{.layers = 2, .experts = 3, .partition = CachePartition::layer, .places = 2};
  for (const ExpertItem item : {0, 3, 0, 4, 1, 5, 2, 3, 1, 4, 0, 5})
    game.turns.push_back({.layer = item / 3, .items = {item}});
  CacheGame alone = game_of(3, 2, {0, 0, 1, 2, 1, 0});
  Items of_first;
  for (const ExpertItem item : victims(R"("arc")", game))
    if (item < 3) of_first.push_back(item);
  EXPECT_EQ(of_first, victims(R"("arc")", alone));
}

// 1 is brought early and then used once, 0 is used twice: 1 is recent, 0 is frequent.
TEST(Arc, CountsTheFirstUseOfWhatWasBroughtEarlyAsOne) {
  CacheGame game = game_of(3, 2, {0, 0, 1, 2});
  game.turns[2].early = {1};
  EXPECT_EQ(victims(R"("arc")", game), (Items{1}));
}

// 1 is used at turn 3 and 0 at turn 4 when 2 comes at turn 2.
TEST(CacheOracle, LetsTheOneNeededLastLeave) {
  EXPECT_EQ(victims(R"("oracle")", game_of(3, 2, {0, 1, 2, 1, 0})), (Items{0, 1}));
}

TEST(Popularity, KeepsThePopularWhileAnotherCanLeave) {
  CacheGame game = game_of(4, 2, {0, 1, 2, 3, 0});
  game.past_load = {9, 1, 2, 3};
  EXPECT_EQ(victims(R"("popularity")", game), (Items{1, 2}));
}

}  // namespace
}  // namespace moesim
