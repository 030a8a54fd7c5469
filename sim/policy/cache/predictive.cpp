// The cache of ExpertFlow (arXiv 2410.17954), which follows predictions: layers that are still to come share the places
// in proportion to the experts that they are predicted to need, rounded up for those that come first (3 and 2 experts
// share 4 places as 3 and 1); layers that had their turn give theirs up. So these leave, in this order:
//   what was brought early for a turn that has passed without it;
//   experts of layers that had their turn, those whose next turn is furthest first;
//   experts of the layer that holds most beyond its share;
// and of equals the one with the fewest tokens expected, then the least used.
// Where nothing is forecast of a layer, it is taken to need as many experts as at its last turn.

#include <algorithm>
#include <cmath>
#include <compare>

#include "sim/policy/cache/outlook.h"

namespace moesim {
namespace {

enum Mark : uint8_t { kUsed, kExpected, kPassed };  // of an expert; the latter two where it was brought early

struct Rank {
  int32_t group = 0;
  double of_layer = 0;
  float tokens = 0;
  int64_t uses = 0;
  friend auto operator<=>(const Rank&, const Rank&) = default;
};

// The state's `target` is the number of experts that a layer needed at its last turn, its `size` how many are there,
// its `clock` the layer that had the last turn, or -1.
void begin(CacheState& state, const CacheEvent& event) {
  state.clock = -1;
  state.mark.assign(event.items(), kUsed);
  state.size.assign(size_t(event.layers), 0);
  state.share.assign(size_t(event.layers), 0);
  state.target.assign(size_t(event.layers), double(event.top_k));
}

void begin_turn(CacheState& state, const CacheEvent& event) {
  if (state.clock >= 0) {
    const auto first = state.mark.begin() + ptrdiff_t(state.clock) * event.experts;
    std::replace(first, first + event.experts, uint8_t{kExpected}, uint8_t{kPassed});
  }
  state.clock = event.layer;
  state.target[size_t(event.layer)] = 0;
}

// How many experts the layer will need: each counts by what it is expected to get, but as one at most. Layers whose
// places are others take no part.
double demand(const CacheState& state, const CacheEvent& event, int32_t layer) {
  if (event.part_of(layer * event.experts) != event.part_of(event.item)) return 0;
  double experts = 0;
  for (const float tokens : forecast_of(event, layer)) experts += double(std::min(tokens, 1.0F));
  return experts > 0 ? experts : state.target[size_t(layer)];
}

void share_places(CacheState& state, const CacheEvent& event) {
  double sum = 0;
  for (int32_t layer = event.layer + 1; layer < event.layers; ++layer)
    sum += state.share[size_t(layer)] = demand(state, event, layer);
  auto left = double(event.places);
  for (int32_t layer = event.layer + 1; layer < event.layers; ++layer) {
    double& share = state.share[size_t(layer)];
    share = sum > 0 ? std::min(left, std::ceil(share * double(event.places) / sum)) : 0;
    left -= share;
  }
}

ExpertItem choose(CacheState& state, const CacheEvent& event) {
  const bool of_one_layer = event.layer_of(event.candidates.front()) == event.layer_of(event.candidates.back());
  if (!of_one_layer) share_places(state, event);
  return least_by_layer(
      event,
      [&](int32_t layer) {
        if (layer <= event.layer) return Rank{1, -double(turns_ahead(event, layer)), 0, 0};
        return Rank{2, state.share[size_t(layer)] - double(state.size[size_t(layer)]), 0, 0};
      },
      [&](ExpertItem item, Rank rank) {
        if (state.mark[size_t(item)] == kPassed) rank.group = 0;
        if (!event.forecast.empty()) rank.tokens = event.forecast[size_t(item)];
        rank.uses = state.count[size_t(item)];
        return rank;
      });
}

ExpertItem cache_predictive(CacheState& state, const CacheEvent& event, const NoOptions&, Rng&) {
  count_uses(state, event);
  switch (event.kind) {
    case CacheEventKind::begin:
      begin(state, event);
      break;
    case CacheEventKind::route:
      begin_turn(state, event);
      break;
    case CacheEventKind::access:
      state.mark[size_t(event.item)] = kUsed;
      state.target[size_t(event.layer_of(event.item))] += 1;
      break;
    case CacheEventKind::load:
      state.mark[size_t(event.item)] = event.prefetched ? kExpected : kUsed;
      ++state.size[size_t(event.layer_of(event.item))];
      break;
    case CacheEventKind::evict:
      --state.size[size_t(event.layer_of(event.item))];
      break;
    case CacheEventKind::choose:
      return choose(state, event);
  }
  return kNoItem;
}

[[maybe_unused]] const bool registered = Registry<CachePolicy>::instance().add(
    "predictive", "places shared by the layers to come as they are predicted to need them", cache_predictive,
    {.reads_future = false, .reads_forecast = true});

}  // namespace
}  // namespace moesim
