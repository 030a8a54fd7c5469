// One level of a memory hierarchy that holds some of the experts: a GPU's memory, or a host's before slower ones.
//
// An expert's place is reserved when its copy begins, and given up when another needs it; it is never more than the
// level's bytes that are reserved (CHECKed). Experts that are in use stay. Who leaves is a policy's decision.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/moe/offload/cache.h"

namespace moesim {

struct LevelShape {
  int32_t layers = 0;  // MoE layers
  int32_t experts = 0;
  int32_t top_k = 0;
  std::vector<Bytes> item_bytes{};       // [item]; nothing for those that are not this level's to hold
  std::vector<int32_t> part_of_layer{};  // [MoE layer] the part of the level in which its experts lie
  std::vector<Bytes> part_bytes{};       // [part]
  std::vector<int64_t> past_load{};      // [item]
};

// Parts of a level. By layer: the first `whole_layers` get room for all of their experts, the others equal shares of
// the rest, in whole experts where all are of one size. Global: one part, and whole layers have parts of their own.
void divide_level(LevelShape& shape, Bytes capacity, CachePartition partition, int32_t whole_layers);

class ExpertLevel {
 public:
  // The span of what a policy may know of the future, if it reads that, and its forecasts; may be empty.
  struct Sight {
    std::span<const int64_t> next_use;
    std::span<const float> forecast;
  };

  ExpertLevel(LevelShape shape, PolicyChoice<CachePolicy> policy, Rng rng);

  // The most popular experts lie there before the first step, as many as fit.
  void fill_by_popularity();

  bool present(ExpertItem item) const { return state_[size_t(item)] == State::present; }
  bool reserved(ExpertItem item) const { return state_[size_t(item)] == State::reserved; }
  bool was_present(ExpertItem item) const { return was_present_[size_t(item)] != 0; }
  std::span<const uint8_t> taken() const { return taken_; }  // [item] present or reserved

  void route(int32_t layer, std::span<const float> scores);
  void access(ExpertItem item, int32_t layer);  // tells whether it is there
  void pin(ExpertItem item) { ++pins_[size_t(item)]; }
  void unpin(ExpertItem item);
  bool pinned(ExpertItem item) const { return pins_[size_t(item)] > 0; }

  // Makes room and keeps it for the item; false where all that could leave is in use or on its way.
  bool reserve(ExpertItem item, bool prefetched, int32_t layer, const Sight& sight);
  void arrived(ExpertItem item);

  Bytes used() const { return used_; }
  Bytes capacity() const;
  int64_t evictions() const { return evictions_; }
  Bytes largest() const { return largest_; }  // expert
  Bytes unused_prefetches() const;            // left, or still here, without an access
  // Experts that fit the part of each layer, about where they differ in size.
  std::span<const int64_t> places() const { return places_; }
  const LevelShape& shape() const { return shape_; }

 private:
  enum class State : uint8_t { absent, reserved, present };

  struct Part {
    Bytes used;
    std::vector<ExpertItem> present;  // rising
  };

  Part& part_of(ExpertItem item) { return parts_[size_t(part_index(item))]; }
  int32_t part_index(ExpertItem item) const;
  CacheEvent event(CacheEventKind kind, int32_t layer, ExpertItem item) const;
  void tell(const CacheEvent& event) { policy_.step(cache_, event, rng_); }
  Bytes may_leave(const Part& part) const;
  void evict_one(ExpertItem for_item, int32_t layer, const Sight& sight);
  void evict(ExpertItem item, int32_t layer);

  LevelShape shape_;
  PolicyChoice<CachePolicy> policy_;
  Rng rng_;
  CacheState cache_;
  std::vector<State> state_;          // [item]
  std::vector<uint8_t> taken_;        // [item]
  std::vector<uint8_t> was_present_;  // [item]
  std::vector<int32_t> pins_;         // [item]
  std::vector<Part> parts_;
  std::vector<int64_t> places_;  // [MoE layer]
  std::vector<ExpertItem> candidates_;
  Bytes used_;
  Bytes largest_;
  std::vector<uint8_t> unused_;  // [item] prefetched, and not needed yet
  Bytes unused_left_;
  int64_t evictions_ = 0;
};

}  // namespace moesim
