// The gates of the next layers, applied to what is known now: their likeliest experts, as many as tokens may choose,
// then the next-ranked as long as copies fit the window. Of Fate (arXiv 2502.12224), whose first ranks hold 78.8 % of
// the choices, and 97.2 % with the next ones. With a prediction that is exact it is Pre-gated MoE (ISCA 2024).

#include <algorithm>

#include "sim/policy/prefetch/likeliest.h"

namespace moesim {
namespace {

struct NextGateOptions {
  int32_t layers = 1;
  bool over_prefetch = true;
  int32_t limit = 0;
};

template <class Visitor>
void fields(Visitor& v, NextGateOptions& s) {
  v.optional("layers", s.layers, between(1, 1000), "layers ahead");
  v.optional("over_prefetch", s.over_prefetch,
             "whether experts that rank next follow, as many as can be copied until the next layer's experts begin");
  v.optional("limit", s.limit, between(0, 100'000), "most experts of a layer, by rank; 0: none");
}

std::span<const ExpertItem> prefetch_next_gate(PrefetchState& state, const PrefetchInput& in,
                                               const NextGateOptions& options, Rng&) {
  state.wanted.clear();
  const int64_t most = options.limit > 0 ? options.limit : in.experts;
  const int64_t first = std::min(most, experts_needed_most(in));
  const int32_t end = layers_end(in, options.layers);
  std::vector<int32_t> ranked;
  for (int32_t layer = in.layer + 1; layer < end; ++layer) {
    rank_experts(in, layer, first, ranked);
    want_absent(in, layer, ranked, INT64_MAX, state.wanted);
  }
  if (!options.over_prefetch || first == most) return state.wanted;
  const int64_t copies = copies_in_window(in);
  for (int32_t layer = in.layer + 1; layer < end && int64_t(state.wanted.size()) < copies; ++layer) {
    rank_experts(in, layer, most, ranked);
    if (int64_t(ranked.size()) > first)
      want_absent(in, layer, std::span(ranked).subspan(size_t(first)), copies, state.wanted);
  }
  return state.wanted;
}

[[maybe_unused]] const bool registered = Registry<PrefetchPolicy>::instance().add(
    "next_gate", "what the next layers' gates choose by the forecast, then the next-ranked while copies fit",
    prefetch_next_gate);

}  // namespace
}  // namespace moesim
