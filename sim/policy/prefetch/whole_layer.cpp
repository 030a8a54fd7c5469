// All experts of the next layers, in order: what the ring of layers in SE-MoE (arXiv 2205.10034) does, and the
// comparison called "prefetch all" in Pre-gated MoE (ISCA 2024). Asks for no forecast.

#include <algorithm>

#include "sim/policy/prefetch/likeliest.h"

namespace moesim {
namespace {

struct WholeLayerOptions {
  int32_t layers = 1;
};

template <class Visitor>
void fields(Visitor& v, WholeLayerOptions& s) {
  v.optional("layers", s.layers, between(1, 1000), "layers ahead");
}

std::span<const ExpertItem> prefetch_whole_layer(PrefetchState& state, const PrefetchInput& in,
                                                 const WholeLayerOptions& options, Rng&) {
  state.wanted.clear();
  for (int32_t layer = in.layer + 1; layer < layers_end(in, options.layers); ++layer) {
    int64_t fit = in.places[size_t(layer)];
    for (int32_t expert = 0; expert < in.experts && fit > 0; ++expert) {
      const ExpertItem item = item_of(in, layer, expert);
      if (!in.is_hosted(item)) continue;
      --fit;
      if (in.present[size_t(item)] == 0) state.wanted.push_back(item);
    }
  }
  return state.wanted;
}

[[maybe_unused]] const bool registered = Registry<PrefetchPolicy>::instance().add(
    "whole_layer", "all experts of the next layers, as many as fit the cache", prefetch_whole_layer);

}  // namespace
}  // namespace moesim
