// HybriMoE's "minus recent score" (arXiv 2504.05897, equation 3): S <- alpha TopP(s) + (1 - alpha) S at each turn of a
// layer, where s are the scores of its gate, of which TopP keeps the p largest; the least S leaves. Experts that nearly
// were chosen are likely to be chosen next.

#include <algorithm>
#include <numeric>

#include "sim/moe/offload/cache.h"

namespace moesim {
namespace {

struct MrsOptions {
  double alpha = 0.5;  // both as in the released code
  int32_t p = 2;
};

template <class Visitor>
void fields(Visitor& v, MrsOptions& s) {
  v.optional("alpha", s.alpha, between(0.001, 1.0), "of the last scores; the rest is of what was before");
  v.optional("p", s.p, between(1, 1024), "times top-k: how many of the largest scores count");
}

void score(CacheState& state, const CacheEvent& event, const MrsOptions& options) {
  const std::span<const float> scores = event.scores;
  const size_t kept = std::min(size_t(options.p) * size_t(event.top_k), scores.size());
  std::iota(state.order.begin(), state.order.end(), 0);
  std::nth_element(state.order.begin(), state.order.begin() + ptrdiff_t(kept), state.order.end(),
                   [&](int32_t a, int32_t b) {
                     return scores[size_t(a)] != scores[size_t(b)] ? scores[size_t(a)] > scores[size_t(b)] : a < b;
                   });
  const std::span<double> values = std::span(state.value).subspan(size_t(event.layer) * scores.size(), scores.size());
  for (double& value : values) value *= 1 - options.alpha;
  for (size_t i = 0; i < kept; ++i)
    values[size_t(state.order[i])] += options.alpha * double(scores[size_t(state.order[i])]);
}

ExpertItem cache_mrs(CacheState& state, const CacheEvent& event, const MrsOptions& options, Rng&) {
  switch (event.kind) {
    case CacheEventKind::begin:
      state.value.assign(event.items(), 0);
      state.order.assign(size_t(event.experts), 0);
      break;
    case CacheEventKind::route:
      score(state, event, options);
      break;
    case CacheEventKind::choose:
      return least_valuable(event.candidates, state.value);
    case CacheEventKind::access:
    case CacheEventKind::load:
    case CacheEventKind::evict:
      break;
  }
  return kNoItem;
}

[[maybe_unused]] const bool registered =
    Registry<CachePolicy>::instance().add("mrs", "the one with the least recent gate scores leaves", cache_mrs);

}  // namespace
}  // namespace moesim
