// What makes layers faster: each candidate of the next layers is assumed to be there, and the drop of the layer's time,
// simulated anew with the scenario's expert schedule, is its gain. The largest gain is taken as long as copies fit the
// window. Of HybriMoE (arXiv 2504.05897), which looks at three layers. An expert that the CPU would have finished in
// time anyway gains nothing.

#include <algorithm>

#include "sim/policy/prefetch/likeliest.h"

namespace moesim {
namespace {

struct ImpactOptions {
  int32_t layers = 3;
  int32_t candidates = 16;
};

template <class Visitor>
void fields(Visitor& v, ImpactOptions& s) {
  v.optional("layers", s.layers, between(1, 1000), "layers ahead");
  v.optional("candidates", s.candidates, between(1, 1000),
             "most experts of a layer that are tried, the likeliest that tokens may choose");
}

// A later layer, with what is taken of it so far in front of what may be.
struct Candidates {
  int32_t layer = 0;
  std::vector<ExpertItem> items;
  size_t taken = 0;
  Duration time;  // with those taken
  std::vector<Duration> gain;
};

Candidates candidates_of(const PrefetchInput& in, int32_t layer, int64_t most) {
  Candidates of;
  of.layer = layer;
  std::vector<int32_t> ranked;
  rank_experts(in, layer, most, ranked);
  want_absent(in, layer, ranked, INT64_MAX, of.items);
  if (!of.items.empty()) of.time = in.layer_time(layer, {});
  return of;
}

// Gains depend on what else of the layer is there: after one is taken, all others are tried again.
void try_candidates(const PrefetchInput& in, Candidates& of, std::vector<ExpertItem>& besides) {
  besides.assign(of.items.begin(), of.items.begin() + ptrdiff_t(of.taken));
  besides.push_back(kNoItem);
  of.gain.assign(of.items.size(), Duration{});
  for (size_t at = of.taken; at < of.items.size(); ++at) {
    besides.back() = of.items[at];
    of.gain[at] = of.time - in.layer_time(of.layer, besides);
  }
}

// Keeps the order of the others.
void take(Candidates& of, size_t at) {
  of.time = of.time - of.gain[at];
  const auto first = of.items.begin() + ptrdiff_t(of.taken);
  std::rotate(first, of.items.begin() + ptrdiff_t(at), of.items.begin() + ptrdiff_t(at) + 1);
  ++of.taken;
}

std::span<const ExpertItem> prefetch_impact(PrefetchState& state, const PrefetchInput& in, const ImpactOptions& options,
                                            Rng&) {
  state.wanted.clear();
  const int64_t copies = copies_in_window(in);
  if (copies == 0) return {};
  const int64_t most = std::min<int64_t>(options.candidates, experts_needed_most(in));
  std::vector<Candidates> layers;
  std::vector<ExpertItem> besides;
  for (int32_t layer = in.layer + 1; layer < layers_end(in, options.layers); ++layer)
    try_candidates(in, layers.emplace_back(candidates_of(in, layer, most)), besides);
  while (int64_t(state.wanted.size()) < copies) {
    Candidates* best = nullptr;  // of equals, the nearest layer's likeliest
    size_t best_at = 0;
    for (Candidates& of : layers)
      for (size_t at = of.taken; at < of.items.size(); ++at)
        if (of.gain[at].ps > 0 && (best == nullptr || of.gain[at] > best->gain[best_at])) {
          best = &of;
          best_at = at;
        }
    if (best == nullptr) break;
    state.wanted.push_back(best->items[best_at]);
    take(*best, best_at);
    if (int64_t(state.wanted.size()) < copies) try_candidates(in, *best, besides);
  }
  return state.wanted;
}

[[maybe_unused]] const bool registered = Registry<PrefetchPolicy>::instance().add(
    "impact", "what shortens the next layers most, each candidate tried with the expert schedule", prefetch_impact);

}  // namespace
}  // namespace moesim
