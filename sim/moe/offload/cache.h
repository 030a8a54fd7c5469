// Which experts stay in a GPU's memory, where not all of them fit.
//
// Whoever runs the cache decides when an expert is loaded, and which may leave: never one that is in use or on its way.
// A policy is told of everything that happens, and asked who leaves. Most keep a value of each expert, and the least
// valuable leaves (least_valuable()).
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sim/config/registry.h"

namespace moesim {

// An expert of a layer: MoE layer * experts + expert.
using ExpertItem = int32_t;
constexpr ExpertItem kNoItem = -1;

// How the places of a cache are shared by layers.
enum class CachePartition : uint8_t { layer, global };

constexpr auto enum_names(CachePartition) {
  return std::to_array<std::pair<CachePartition, const char*>>(
      {{CachePartition::layer, "layer"}, {CachePartition::global, "global"}});
}

enum class CacheEventKind : uint8_t {
  begin,   // before the first step, once
  route,   // the layer's tokens have been routed, before its accesses; `scores` says how
  access,  // `item` is needed by the layer that runs; `hit` where it is there
  load,    // `item` has a place from now on; `prefetched` where nobody has needed it yet
  evict,   // `item` has lost it
  choose,  // who of `candidates` leaves, to make room for `item`?
};

struct CacheEvent {
  CacheEventKind kind = CacheEventKind::begin;
  int32_t layers = 0;  // MoE layers
  int32_t experts = 0;
  int32_t top_k = 0;
  int64_t places = 0;  // experts that fit the part of the cache that `item` is in, about, where they differ in size
  int32_t layer = 0;   // MoE layer that runs
  ExpertItem item = kNoItem;
  bool hit = false;
  bool prefetched = false;
  std::span<const float> scores;           // [expert] of `layer`: gate weights, summed over the GPU's tokens
  std::span<const ExpertItem> candidates;  // rising, at least one
  std::span<const int32_t> part_of_layer;  // [layer] part of the cache, from 0; in every event; empty: one for each
  std::span<const int64_t> past_load;      // [item] tokens in the training part; in every event
  std::span<const float> forecast;         // [item] tokens expected at its next turn, 0 where nothing was forecast;
                                           // in `choose` alone
  std::span<const int64_t> next_use;       // [item] turns of layers until it is needed, as it will be, kNeverUsed
                                           // where no more is known; only for policies that read the future

  size_t items() const { return size_t(layers) * size_t(experts); }
  int32_t layer_of(ExpertItem of) const { return of / experts; }
  int32_t part_of(ExpertItem of) const {
    return part_of_layer.empty() ? layer_of(of) : part_of_layer[size_t(layer_of(of))];
  }
};
constexpr int64_t kNeverUsed = INT64_MAX;

// Plain data of whatever a policy remembers; each uses what it needs.
struct CacheState {
  int64_t clock = 0;             // what has happened so far, as the policy counts
  double weight = 1;             // of what happens now, where the past counts less
  std::vector<double> value;     // [item]
  std::vector<int64_t> count;    // [item]
  std::vector<uint8_t> mark;     // [item]
  std::vector<int64_t> history;  // [item][k] times, the last first
  std::vector<int32_t> order;    // to sort in
  std::vector<double> share;     // [layer]
  std::vector<int64_t> size;     // [layer], or of a list
  std::vector<double> target;    // of ARC, by part of the cache
  std::vector<int32_t> next;     // of lists of items, as rings
  std::vector<int32_t> previous;
};

// `choose` is answered with one of the candidates; what other events are answered with is not looked at.
struct CachePolicy {
  using State = CacheState;
  using Input = CacheEvent;
  using Decision = ExpertItem;
  struct Traits {
    bool reads_future = false;    // a reference, not a policy that could run
    bool reads_forecast = false;  // makes predictions worth their time
  };
  static constexpr const char* kind = "expert cache";
};

// The candidate of least value, the lowest of equals.
ExpertItem least_valuable(std::span<const ExpertItem> candidates, std::span<const double> value);

}  // namespace moesim
