// One forecast of all layers before each step; then, at every layer, the experts of all layers to come that are most
// likely to be needed, so that layers share the bus and the cache by what is expected of them. Of ExpertFlow
// (arXiv 2410.17954), whose predictor tells all layers at once.

#include <algorithm>

#include "sim/policy/prefetch/likeliest.h"

namespace moesim {
namespace {

struct ExpectedOptions {
  int32_t layers = 1000;
  int32_t longest = 256;
};

template <class Visitor>
void fields(Visitor& v, ExpectedOptions& s) {
  v.optional("layers", s.layers, between(1, 1000), "layers ahead that are looked at");
  v.optional("longest", s.longest, between(1, 100'000), "most experts wanted at once; the next layer asks anew");
}

// Items by falling forecast, but what is expected more than once counts once: those are needed for sure, and the nearer
// layer comes first.
void rank_all(PrefetchState& state, const PrefetchInput& in) {
  state.matrix.assign(size_t(in.layers) * size_t(in.experts), 0);
  state.table.resize(2);
  std::vector<int32_t>& order = state.table[0];
  order.clear();
  for (int32_t layer = 0; layer < in.layers; ++layer) {
    rank_experts(in, layer, in.experts, state.table[1]);
    const std::span<const float> forecast = in.forecast(layer);
    for (const int32_t expert : state.table[1]) {
      state.matrix[size_t(item_of(in, layer, expert))] = std::min(1.0F, forecast[size_t(expert)]);
      order.push_back(item_of(in, layer, expert));
    }
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return state.matrix[size_t(a)] > state.matrix[size_t(b)]; });
}

std::span<const ExpertItem> prefetch_expected(PrefetchState& state, const PrefetchInput& in,
                                              const ExpectedOptions& options, Rng&) {
  state.wanted.clear();
  if (in.layer < 0) rank_all(state, in);
  if (state.table.empty()) return {};
  const int32_t end = layers_end(in, options.layers);
  for (const ExpertItem item : state.table[0]) {
    const int32_t layer = item / in.experts;
    if (layer <= in.layer || layer >= end || in.present[size_t(item)] != 0 || !in.is_hosted(item)) continue;
    state.wanted.push_back(item);
    if (state.wanted.size() == size_t(options.longest)) break;
  }
  return state.wanted;
}

[[maybe_unused]] const bool registered = Registry<PrefetchPolicy>::instance().add(
    "expected", "the most likely experts of all layers to come, forecast once before each step", prefetch_expected);

}  // namespace
}  // namespace moesim
