#include "sim/run/offload/forecasts.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr int64_t kSample = 64;  // tokens of a group that are predicted one by one

}  // namespace

ExpertForecasts::ExpertForecasts(const LoadedScenario& loaded, const Layout& layout, const RoutingSource& source,
                                 const Placement& placement)
    : layout_(layout), experts_(int32_t(loaded.model.experts)) {
  Rng rng = Rng::stream(loaded.scenario.seed, "offload prediction");
  const PastTokens past = past_tokens(source);
  predictor_ = loaded.scenario.offload->prediction.decide({past, placement, source.layers, experts_, layout.ep}, rng);
  groups_.resize(size_t(layout.expert_groups()));
  for (Group& group : groups_) {
    group.expected.assign(size_t(source.layers) * size_t(experts_), 0);
    group.known.assign(size_t(source.layers), -1);
    group.done.assign(size_t(source.layers), 0);
  }
  one_.resize(size_t(experts_));
}

void ExpertForecasts::begin_step(const StepRouting& routing, StepTokens tokens) {
  routing_ = &routing;
  tokens_ = std::move(tokens);
  for (Group& group : groups_) {
    std::fill(group.expected.begin(), group.expected.end(), 0.0F);
    std::fill(group.known.begin(), group.known.end(), -1);
    std::fill(group.done.begin(), group.done.end(), 0);
  }
}

std::span<const float> ExpertForecasts::forecast(int32_t group, int32_t layer, int32_t known_layers) {
  CHECK(known_layers <= layer);
  Group& of = groups_[size_t(group)];
  const std::span<float> expected = std::span(of.expected).subspan(size_t(layer) * size_t(experts_), size_t(experts_));
  if (of.known[size_t(layer)] >= known_layers) return expected;
  of.known[size_t(layer)] = known_layers;
  std::fill(expected.begin(), expected.end(), 0.0F);
  if (routing_->is_counts()) return expected;  // of tokens nothing is known
  const int64_t first = routing_->first_token[size_t(group) * size_t(layout_.ep)];
  const int64_t tokens = routing_->first_token[(size_t(group) + 1) * size_t(layout_.ep)] - first;
  const int64_t sample = std::min(tokens, kSample);
  for (int64_t i = 0; i < sample; ++i) {
    predict_experts(predictor_, tokens_, *routing_, first + i * tokens / sample, layer, known_layers, one_);
    for (size_t expert = 0; expert < expected.size(); ++expert) expected[expert] += one_[expert];
  }
  if (sample < tokens)
    for (float& each : expected) each *= float(tokens) / float(sample);
  return expected;
}

void ExpertForecasts::forget(int32_t group, int32_t layer) {
  Group& of = groups_[size_t(group)];
  if (++of.done[size_t(layer)] < layout_.ep) return;
  const auto first = of.expected.begin() + int64_t{layer} * experts_;
  std::fill(first, first + experts_, 0.0F);
}

int64_t ExpertForecasts::recalled(int32_t group, int32_t layer, std::span<const int32_t> needed,
                                  std::span<const int32_t> hosted) {
  const float* expected = groups_[size_t(group)].expected.data() + size_t(layer) * size_t(experts_);
  likeliest_.assign(hosted.begin(), hosted.end());
  const auto end = likeliest_.begin() + int64_t(std::min(needed.size(), likeliest_.size()));
  std::partial_sort(likeliest_.begin(), end, likeliest_.end(), [&](int32_t a, int32_t b) {
    return expected[a] != expected[b] ? expected[a] > expected[b] : a < b;
  });
  return std::count_if(needed.begin(), needed.end(),
                       [&](int32_t expert) { return std::find(likeliest_.begin(), end, expert) != end; });
}

}  // namespace moesim
