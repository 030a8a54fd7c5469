// Plays a cache of equal experts, turn by turn of layers. It brings an expert when it is needed, or early where a turn
// says so; what the layer needs that runs is not among the candidates. Where nobody may leave, a missing expert is used
// without a place.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "sim/core/random.h"
#include "sim/moe/offload/cache.h"

namespace moesim {

struct CacheTurn {
  int32_t layer = 0;
  std::vector<ExpertItem> items{};  // of the layer, rising
  std::vector<ExpertItem> early{};  // of any layer, brought before it
  std::vector<float> forecast{};    // [item], known from before it on; empty: none
};

struct CacheGame {
  int32_t layers = 1;
  int32_t experts = 0;
  int32_t top_k = 1;
  CachePartition partition = CachePartition::global;
  int64_t places = 1;  // of a part
  std::vector<CacheTurn> turns{};
  std::vector<int64_t> past_load{};  // [item]; empty: zeros

  size_t items() const { return size_t(layers) * size_t(experts); }
};

// A copy goes on as the player itself would.
class CachePlayer {
 public:
  CachePlayer(const CacheGame& game, const PolicyChoice<CachePolicy>& policy, uint64_t seed = 1)
      : game_(&game),
        policy_(policy),
        rng_(seed),
        past_load_(game.past_load.empty() ? std::vector<int64_t>(game.items()) : game.past_load),
        part_of_layer_(size_t(game.layers)),
        here_(game.items()),
        held_(size_t(game.layers)),
        uses_(game.items()) {
    if (game.partition == CachePartition::layer) std::iota(part_of_layer_.begin(), part_of_layer_.end(), 0);
    for (size_t turn = 0; turn < game.turns.size(); ++turn)
      for (const ExpertItem item : game.turns[turn].items) uses_[size_t(item)].push_back(int64_t(turn));
    tell(event(CacheEventKind::begin));
  }

  bool is_over() const { return turn_ == game_->turns.size(); }

  void play_turn() {
    const CacheTurn& turn = game_->turns[turn_];
    pinned_.clear();
    for (const ExpertItem item : turn.early) bring(item, true);
    layer_ = turn.layer;
    pinned_ = turn.items;
    route(turn);
    for (const ExpertItem item : turn.items) access(item);
    for (const ExpertItem item : turn.items) bring(item, false);
    ++turn_;
  }

  const CachePlayer& play() {
    while (!is_over()) play_turn();
    return *this;
  }

  int64_t hits() const { return hits_; }
  int64_t accesses() const { return accesses_; }
  bool is_here(ExpertItem item) const { return here_[size_t(item)]; }
  const std::vector<ExpertItem>& victims() const { return victims_; }

 private:
  CacheEvent event(CacheEventKind kind, ExpertItem item = kNoItem) const {
    CacheEvent event;
    event.kind = kind;
    event.layers = game_->layers;
    event.experts = game_->experts;
    event.top_k = game_->top_k;
    event.part_of_layer = part_of_layer_;
    event.places = game_->places;
    event.layer = layer_;
    event.item = item;
    event.past_load = past_load_;
    return event;
  }
  ExpertItem tell(const CacheEvent& event) { return policy_.step(state_, event, rng_); }

  size_t part_of(ExpertItem item) const { return size_t(part_of_layer_[size_t(item / game_->experts)]); }

  // Experts that are needed have scores of 1, the others less and less.
  void route(const CacheTurn& turn) {
    std::vector<float> scores;
    for (int32_t expert = 0; expert < game_->experts; ++expert) {
      const ExpertItem item = turn.layer * game_->experts + expert;
      const bool needed = std::binary_search(turn.items.begin(), turn.items.end(), item);
      scores.push_back(needed ? 1 : 0.5F / float(expert + 1));
    }
    CacheEvent routed = event(CacheEventKind::route);
    routed.scores = scores;
    tell(routed);
  }

  void access(ExpertItem item) {
    CacheEvent accessed = event(CacheEventKind::access, item);
    accessed.hit = here_[size_t(item)];
    ++accesses_;
    hits_ += accessed.hit;
    tell(accessed);
  }

  void bring(ExpertItem item, bool prefetched) {
    if (here_[size_t(item)] || !make_room(item, prefetched)) return;
    here_[size_t(item)] = true;
    ++held_[part_of(item)];
    CacheEvent loaded = event(CacheEventKind::load, item);
    loaded.prefetched = prefetched;
    tell(loaded);
  }

  bool make_room(ExpertItem item, bool prefetched) {
    const size_t part = part_of(item);
    if (held_[part] < game_->places) return true;
    std::vector<ExpertItem> candidates;
    for (ExpertItem other = 0; other < int32_t(game_->items()); ++other)
      if (here_[size_t(other)] && part_of(other) == part && !std::binary_search(pinned_.begin(), pinned_.end(), other))
        candidates.push_back(other);
    if (candidates.empty()) return false;
    const ExpertItem victim = choose(item, candidates, prefetched);
    EXPECT_TRUE(std::binary_search(candidates.begin(), candidates.end(), victim)) << victim;
    victims_.push_back(victim);
    here_[size_t(victim)] = false;
    --held_[part];
    tell(event(CacheEventKind::evict, victim));
    return true;
  }

  ExpertItem choose(ExpertItem item, const std::vector<ExpertItem>& candidates, bool prefetched) {
    const int64_t now = int64_t(turn_) - int64_t(prefetched);  // the turn that runs: early is before the next one
    std::vector<int64_t> next_use(game_->items(), kNeverUsed);
    for (size_t other = 0; other < next_use.size(); ++other) {
      const auto next = std::upper_bound(uses_[other].begin(), uses_[other].end(), now);
      if (next != uses_[other].end()) next_use[other] = *next - now;
    }
    const CacheTurn& turn = game_->turns[turn_];
    const std::vector<float> forecast = turn.forecast.empty() ? std::vector<float>(game_->items()) : turn.forecast;
    CacheEvent asked = event(CacheEventKind::choose, item);
    asked.candidates = candidates;
    asked.forecast = forecast;
    asked.next_use = next_use;
    return tell(asked);
  }

  const CacheGame* game_;
  PolicyChoice<CachePolicy> policy_;
  Rng rng_;
  CacheState state_;
  std::vector<int64_t> past_load_;
  std::vector<int32_t> part_of_layer_;
  std::vector<bool> here_;                  // [item]
  std::vector<int64_t> held_;               // [part] experts that are here
  std::vector<std::vector<int64_t>> uses_;  // [item] turns
  std::vector<ExpertItem> pinned_;
  std::vector<ExpertItem> victims_;
  size_t turn_ = 0;
  int32_t layer_ = -1;
  int64_t hits_ = 0;
  int64_t accesses_ = 0;
};

// One layer that needs one expert a turn.
inline CacheGame game_of(int32_t experts, int64_t places, const std::vector<ExpertItem>& items) {
  CacheGame game{.experts = experts, .places = places};
  for (const ExpertItem item : items) game.turns.push_back({.items = {item}});
  return game;
}

}  // namespace moesim
