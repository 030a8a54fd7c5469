// What policies of caches can tell of an expert's next turn: when its layer runs, and which part of its tokens it gets.
#pragma once

#include "sim/moe/offload/cache.h"

namespace moesim {

// Added to predicted parts, so that experts of which nothing is expected still differ by the rest of what is known.
constexpr double kLeastPart = 1e-6;

// Turns of layers until `layer` has its next one; the one that runs has had its own, and comes last.
inline int32_t turns_ahead(const CacheEvent& event, int32_t layer) {
  return layer > event.layer ? layer - event.layer : layer - event.layer + event.layers;
}

// What is forecast of the layer's experts; empty where nothing is.
inline std::span<const float> forecast_of(const CacheEvent& event, int32_t layer) {
  if (event.forecast.empty()) return {};
  return event.forecast.subspan(size_t(layer) * size_t(event.experts), size_t(event.experts));
}

// In four sums, so that additions need not wait for each other.
inline double sum_of(std::span<const float> tokens) {
  double sums[4] = {};
  for (size_t i = 0; i < tokens.size(); ++i) sums[i % 4] += double(tokens[i]);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// The candidate of the least value(item, facts), the lowest of equals. Facts of its layer, of_layer(layer), are asked
// for once a layer, as candidates are in order.
template <class OfLayer, class Value>
ExpertItem least_by_layer(const CacheEvent& event, OfLayer of_layer, Value value) {
  ExpertItem least = event.candidates.front();
  int32_t layer = event.layer_of(least);
  ExpertItem end = (layer + 1) * event.experts;
  auto facts = of_layer(layer);
  auto least_value = value(least, facts);
  for (const ExpertItem item : event.candidates.subspan(1)) {
    if (item >= end) {
      layer = event.layer_of(item);
      end = (layer + 1) * event.experts;
      facts = of_layer(layer);
    }
    const auto item_value = value(item, facts);
    if (!(item_value < least_value)) continue;
    least = item;
    least_value = item_value;
  }
  return least;
}

// The candidate of the least value(item, part, ahead): `part` of its layer's tokens is predicted to be its own, an
// equal one where nothing was forecast, and its layer runs `ahead` turns from now. O(candidates + experts of their
// layers).
template <class Value>
ExpertItem least_by_outlook(const CacheEvent& event, Value value) {
  struct Facts {
    double tokens = 0;
    int32_t ahead = 0;
  };
  return least_by_layer(
      event, [&](int32_t layer) { return Facts{sum_of(forecast_of(event, layer)), turns_ahead(event, layer)}; },
      [&](ExpertItem item, const Facts& facts) {
        const double part =
            facts.tokens > 0 ? double(event.forecast[size_t(item)]) / facts.tokens : 1 / double(event.experts);
        return value(item, part, facts.ahead);
      });
}

// Counts what is needed, while it is away too.
inline void count_uses(CacheState& state, const CacheEvent& event) {
  if (event.kind == CacheEventKind::begin) state.count.assign(event.items(), 0);
  if (event.kind == CacheEventKind::access) ++state.count[size_t(event.item)];
}

}  // namespace moesim
