// Laws of caches that bring one expert at a time, when it is needed: Belady's rule hits most often, and ARC does what
// its publication says, step by step.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>

#include "tests/support/cache_player.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

using Choice = PolicyChoice<CachePolicy>;
using Items = std::vector<ExpertItem>;

// Which expert of its layer a turn needs: uniform, by Zipf's law, by Zipf's law with other experts in front over time,
// or all in turn, in a loop that may be longer than the cache and is left now and then.
std::vector<int32_t> random_uses(Rng& rng, int32_t experts, int64_t turns) {
  const uint64_t pattern = rng.below(4);
  const AliasTable zipf(zipf_weights(size_t(experts), 0.5 + rng.uniform()));
  const int64_t loop = rng.between(1, experts);
  const int64_t drift = rng.between(5, 50);
  std::vector<int32_t> uses;
  for (int64_t turn = 0; turn < turns; ++turn) {
    int64_t expert = 0;
    if (pattern == 0 || (pattern == 3 && rng.below(10) == 0))
      expert = int64_t(rng.below(uint64_t(experts)));
    else if (pattern == 3)
      expert = turn % loop;
    else
      expert = int64_t(zipf.draw(rng)) + (pattern == 2 ? turn / drift : 0);
    uses.push_back(int32_t(expert % experts));
  }
  return uses;
}

// Layers in turn, each of which needs one expert. A part of the cache may hold one expert, all, or any number between.
CacheGame random_demand(Rng& rng) {
  CacheGame game{.layers = int32_t(rng.between(1, 4)), .experts = int32_t(rng.between(1, 16))};
  game.partition = rng.below(2) == 0 ? CachePartition::layer : CachePartition::global;
  const int64_t all = game.partition == CachePartition::layer ? game.experts : int64_t(game.items());
  const uint64_t size = rng.below(10);
  game.places = size == 0 ? 1 : size == 1 ? all : rng.between(1, all);
  for (size_t item = 0; item < game.items(); ++item) game.past_load.push_back(rng.between(0, 100));
  const int64_t rounds = rng.between(1, 150);
  for (const int32_t expert : random_uses(rng, game.experts, rounds * game.layers)) {
    const auto layer = int32_t(game.turns.size() % size_t(game.layers));
    game.turns.push_back({.layer = layer, .items = {layer * game.experts + expert}});
  }
  return game;
}

TEST(CacheOracle, HitsAtLeastAsOftenAsEveryOtherCache) {
  for_each_seed(400, [&](Rng& rng) {
    const CacheGame game = random_demand(rng);
    const int64_t bound = CachePlayer(game, Choice("oracle")).play().hits();
    for (const std::string& name : Registry<CachePolicy>::instance().names())
      EXPECT_LE(CachePlayer(game, Choice(name)).play().hits(), bound) << name;
  });
}

// As many misses as different experts, and nobody leaves.
TEST(EveryCache, MissesEachExpertOnceWhereAllFit) {
  for (const std::string& name : Registry<CachePolicy>::instance().names())
    for_each_seed(20, [&](Rng& rng) {
      SCOPED_TRACE(name);
      CacheGame game = random_demand(rng);
      game.places = game.partition == CachePartition::layer ? game.experts : int64_t(game.items());
      std::set<ExpertItem> used;
      for (const CacheTurn& turn : game.turns) used.insert(turn.items.begin(), turn.items.end());
      const CachePlayer player = CachePlayer(game, Choice(name)).play();
      EXPECT_EQ(player.accesses() - player.hits(), int64_t(used.size()));
      EXPECT_TRUE(player.victims().empty());
    });
}

// A single place holds what was needed last, whatever the policy.
TEST(EveryCache, HitsRepeatsAloneWithOnePlace) {
  for (const std::string& name : Registry<CachePolicy>::instance().names())
    for_each_seed(20, [&](Rng& rng) {
      SCOPED_TRACE(name);
      CacheGame game = random_demand(rng);
      game.partition = CachePartition::global;
      game.places = 1;
      int64_t repeats = 0;
      for (size_t turn = 1; turn < game.turns.size(); ++turn)
        repeats += game.turns[turn].items == game.turns[turn - 1].items;
      EXPECT_EQ(CachePlayer(game, Choice(name)).play().hits(), repeats);
    });
}

// ARC(c) as figure 4 of its publication has it: the oldest of a list is in front.
struct PublishedArc {
  using Queue = std::deque<ExpertItem>;

  static bool take(Queue& queue, ExpertItem item) {
    const auto found = std::find(queue.begin(), queue.end(), item);
    if (found == queue.end()) return false;
    queue.erase(found);
    return true;
  }
  static double size(const Queue& queue) { return double(queue.size()); }

  void leave(Queue& from, Queue* to) {
    victims.push_back(from.front());
    if (to != nullptr) to->push_back(from.front());
    from.pop_front();
  }
  void replace(bool in_b2) {
    if (!t1.empty() && ((in_b2 && size(t1) == p) || size(t1) > p))
      leave(t1, &b1);
    else
      leave(t2, &b2);
  }

  void need(ExpertItem item) {
    if (take(t1, item) || take(t2, item)) return t2.push_back(item);
    if (std::count(b1.begin(), b1.end(), item) > 0) {
      p = std::min(c, p + std::max(1.0, size(b2) / size(b1)));
      replace(false);
      take(b1, item);
      return t2.push_back(item);
    }
    if (std::count(b2.begin(), b2.end(), item) > 0) {
      p = std::max(0.0, p - std::max(1.0, size(b1) / size(b2)));
      replace(true);
      take(b2, item);
      return t2.push_back(item);
    }
    miss();
    t1.push_back(item);
  }
  void miss() {
    if (size(t1) + size(b1) == c) {
      if (size(t1) == c) return leave(t1, nullptr);
      b1.pop_front();
      return replace(false);
    }
    const double all = size(t1) + size(t2) + size(b1) + size(b2);
    if (all < c) return;
    if (all == 2 * c) b2.pop_front();
    replace(false);
  }

  double c = 0;
  double p = 0;
  Queue t1, t2, b1, b2;
  Items victims{};
};

TEST(Arc, DoesWhatItsPublicationSays) {
  for_each_seed(400, [&](Rng& rng) {
    CacheGame game = random_demand(rng);
    game.partition = CachePartition::global;
    PublishedArc published{.c = double(game.places), .t1 = {}, .t2 = {}, .b1 = {}, .b2 = {}};
    for (const CacheTurn& turn : game.turns) published.need(turn.items[0]);
    EXPECT_EQ(CachePlayer(game, Choice("arc")).play().victims(), published.victims);
  });
}

}  // namespace
}  // namespace moesim
