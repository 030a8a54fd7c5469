#include "traces/drifting.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/core/check.h"

namespace moesim {
namespace {

// `count` different places below `places`, each set equally likely (Floyd). Appends them.
void draw_places(int64_t count, int64_t places, Rng& rng, std::vector<int64_t>& drawn) {
  const auto first = ptrdiff_t(drawn.size());
  for (int64_t place = places - count; place < places; ++place) {
    const auto one = int64_t(rng.below(uint64_t(place) + 1));
    const bool taken = std::find(drawn.begin() + first, drawn.end(), one) != drawn.end();
    drawn.push_back(taken ? place : one);
  }
}

}  // namespace

DriftingRouter::DriftingRouter(const SyntheticRouting& options, RoutingShape shape, int32_t placed, int32_t ranks,
                               uint64_t seed)
    : options_(options),
      shape_(shape),
      placed_(placed),
      ranks_(ranks),
      seed_(Rng::stream(seed, fmt::format("drifting tokens {}", options.stream)).next()) {
  CHECK(is_drifting(options.popularity));
  CHECK(shape.experts > 0 && shape.experts <= kTraceExpertsMax);
  CHECK(shape.top_k > 0 && shape.top_k <= shape.experts);
  CHECK(ranks > 0 && ranks <= placed && placed <= shape.experts);
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    std::vector<uint16_t>& order = order_.emplace_back(size_t(shape.experts));
    std::iota(order.begin(), order.end(), uint16_t{0});
    Rng rng = Rng::stream(seed, fmt::format("drifting popularity {}", layer));
    if (options.popularity != Popularity::hot_rank) rng.shuffle(std::span(order));
  }
}

int64_t DriftingRouter::hot_count() const {
  if (options_.popularity == Popularity::hot_rank) return (placed_ + ranks_ - 1) / ranks_;
  return std::clamp<int64_t>(std::llround(options_.hot_part * double(shape_.experts)), 1, shape_.experts);
}

int64_t DriftingRouter::first_hot(int64_t step) const {
  const int64_t now = std::max<int64_t>(step, 0);
  switch (options_.popularity) {
    case Popularity::hot_set:
    case Popularity::hot_rank:
      return 0;
    case Popularity::rotating:
      return now / options_.period * options_.shift.value_or(int32_t(hot_count())) % shape_.experts;
    case Popularity::burst:
      return now % options_.period >= options_.period - options_.burst ? 0 : -1;
    default:
      return -1;
  }
}

std::vector<uint16_t> DriftingRouter::hot_experts(int64_t layer, int64_t step) const {
  std::vector<uint16_t> hot;
  const int64_t first = first_hot(step);
  for (int64_t place = 0; first >= 0 && place < hot_count(); ++place)
    hot.push_back(order_[size_t(layer)][size_t((first + place) % shape_.experts)]);
  std::sort(hot.begin(), hot.end());
  return hot;
}

double DriftingRouter::heat(int64_t hot_experts) const {
  return std::min(
      {options_.heat, double(shape_.experts) / double(shape_.top_k), double(shape_.experts) / double(hot_experts)});
}

void DriftingRouter::route(int64_t step, int64_t token, std::span<uint16_t> row) const {
  CHECK(row.size() == size_t(shape_.layers * shape_.top_k));
  Rng rng(splitmix64(splitmix64(seed_ ^ splitmix64(uint64_t(step))) ^ uint64_t(token)));
  const int64_t first = first_hot(step);
  const int64_t hot = first < 0 ? 0 : hot_count();
  const double hot_choices = hot == 0 ? 0 : double(shape_.top_k) * heat(hot) * double(hot) / double(shape_.experts);
  std::vector<int64_t> places;
  size_t at = 0;
  for (int64_t layer = 0; layer < shape_.layers; ++layer) {
    auto of_hot = int64_t(hot_choices);
    if (rng.uniform() < hot_choices - double(of_hot)) ++of_hot;
    of_hot =
        std::clamp(of_hot, std::max(int64_t{0}, shape_.top_k - (shape_.experts - hot)), std::min(hot, shape_.top_k));
    places.clear();
    draw_places(of_hot, hot, rng, places);
    draw_places(shape_.top_k - of_hot, shape_.experts - hot, rng, places);
    for (int64_t k = 0; k < shape_.top_k; ++k) {
      const int64_t place = k < of_hot ? places[size_t(k)] : hot + places[size_t(k)];
      row[at++] = order_[size_t(layer)][size_t((std::max<int64_t>(first, 0) + place) % shape_.experts)];
    }
  }
}

int64_t DriftingRouter::live_tokens(int64_t held, int32_t gpu, int32_t gpus) const {
  if (options_.popularity != Popularity::ragged || gpus == 1) return held;
  return std::llround(double(held) * (1 - (1 - options_.live_min) * double(gpu) / double(gpus - 1)));
}

}  // namespace moesim
