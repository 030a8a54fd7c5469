// Small worlds for tests of prefetch policies: forecasts, caches and times that a test sets or that are drawn.
#pragma once

#include <algorithm>
#include <functional>
#include <numeric>
#include <set>
#include <span>
#include <vector>

#include "sim/core/random.h"
#include "sim/moe/offload/prefetch.h"

namespace moesim {

struct PrefetchCase {
  int32_t layers = 4;
  int32_t experts = 8;
  int32_t top_k = 2;
  int64_t tokens = 1;
  std::vector<uint16_t> past_ids;
  std::vector<int32_t> past_request;
  std::vector<std::vector<int32_t>> chosen;  // [layer] of the whole step
  std::vector<uint8_t> present;
  std::vector<int64_t> places;
  std::vector<std::vector<float>> forecasts;  // [layer]
  Duration copy = 10_us;
  Duration window = 30_us;
  std::function<Duration(int32_t, std::span<const ExpertItem>)> layer_time =
      [](int32_t, std::span<const ExpertItem> besides) { return Duration{100'000'000 - int64_t(besides.size())}; };
  std::set<int32_t> asked;  // layers whose forecast a policy asked for

  void fill() {
    present.resize(size_t(layers * experts), 0);
    places.resize(size_t(layers), experts);
    forecasts.resize(size_t(layers), std::vector<float>(size_t(experts), 0));
    chosen.resize(size_t(layers));
  }

  // What a policy decides once `layer` has been routed.
  std::vector<ExpertItem> decide(const PolicyChoice<PrefetchPolicy>& policy, PrefetchState& state, int32_t layer) {
    PastTokens past;
    past.top_k = past.recorded_top_k = top_k;
    past.recorded_layers = layers;
    past.tokens = int64_t(past_ids.size()) / (layers * top_k);
    past.ids = past_ids;
    past.request = past_request;
    const std::function<std::span<const float>(int32_t)> forecast = [this](int32_t of) {
      asked.insert(of);
      return std::span<const float>(forecasts[size_t(of)]);
    };
    const PrefetchInput in{.layers = layers,
                           .experts = experts,
                           .top_k = top_k,
                           .layer = layer,
                           .tokens = tokens,
                           .step = 0,
                           .past = past,
                           .chosen = std::span(chosen).first(size_t(layer + 1)),
                           .present = present,
                           .places = places,
                           .copy = copy,
                           .window = window,
                           .forecast = forecast,
                           .layer_time = layer_time};
    Rng rng(1);
    const std::span<const ExpertItem> wanted = policy.step(state, in, rng);
    return {wanted.begin(), wanted.end()};
  }
};

// k distinct numbers below `bound`, rising.
inline std::vector<int32_t> distinct(int32_t k, int32_t bound, Rng& rng) {
  std::vector<int32_t> all(static_cast<size_t>(bound));
  std::iota(all.begin(), all.end(), 0);
  rng.shuffle(std::span(all));
  all.resize(size_t(k));
  std::sort(all.begin(), all.end());
  return all;
}

inline PrefetchCase random_prefetch_case(Rng& rng) {
  PrefetchCase c;
  c.layers = int32_t(rng.between(1, 6));
  c.experts = int32_t(rng.between(2, 12));
  c.top_k = int32_t(rng.between(1, 2));
  c.tokens = rng.between(1, 3);
  c.fill();
  for (int64_t token = 0; token < 40; ++token) {
    for (int32_t layer = 0; layer < c.layers; ++layer)
      for (const int32_t expert : distinct(c.top_k, c.experts, rng)) c.past_ids.push_back(uint16_t(expert));
    c.past_request.push_back(int32_t(token / 7));
  }
  for (uint8_t& present : c.present) present = rng.below(3) == 0 ? 1 : 0;
  for (int64_t& places : c.places) places = rng.between(1, c.experts);
  for (auto& layer : c.chosen) layer = distinct(c.top_k, c.experts, rng);
  for (auto& layer : c.forecasts)
    for (float& expected : layer) expected = float(rng.below(5)) / 4;
  c.window = {rng.between(0, 100) * 1'000'000};
  return c;
}

}  // namespace moesim
