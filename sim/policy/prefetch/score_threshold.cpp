// The surer the match with a past request, the fewer experts: of each of the next layers the likeliest, until their
// parts sum to 1 - score, and at least as many as tokens may choose. Of FineMoE (arXiv 2502.05370), which compares
// distributions over experts; the urgency of an expert is its part over the layers until it is needed. Asks for no
// forecast.

#include <algorithm>

#include "sim/policy/prefetch/likeliest.h"
#include "sim/policy/prefetch/matrices.h"

namespace moesim {
namespace {

struct ScoreThresholdOptions : MatrixOptions {
  int32_t layers = 3;
};

template <class Visitor>
void fields(Visitor& v, ScoreThresholdOptions& s) {
  matrix_fields(v, s);
  v.optional("layers", s.layers, between(1, 1000), "layers ahead");
}

std::span<const ExpertItem> prefetch_by_score(PrefetchState& state, const PrefetchInput& in,
                                              const ScoreThresholdOptions& options, Rng&) {
  state.wanted.clear();
  const MatrixMatch match = match_matrix(state, in, options);
  const double threshold = std::clamp(1 - match.score, 0.0, 1.0);
  const auto part = [&](ExpertItem item) { return double(match.matrix[size_t(item)]); };
  std::vector<int32_t> ranked;
  for (int32_t layer = in.layer + 1; layer < layers_end(in, options.layers); ++layer) {
    const auto row = match.matrix.subspan(size_t(layer) * size_t(in.experts), size_t(in.experts));
    rank_by(in, layer, row, in.experts, ranked);
    double sum = 0;
    size_t enough = 0;
    for (; enough < ranked.size() && (sum < threshold || int64_t(enough) < experts_needed_most(in)); ++enough)
      sum += double(row[size_t(ranked[enough])]);
    want_absent(in, layer, std::span(ranked).first(enough), INT64_MAX, state.wanted);
  }
  const auto urgency = [&](ExpertItem item) {
    const int32_t ahead = item / in.experts - in.layer;
    return part(item) / double(ahead);
  };
  std::stable_sort(state.wanted.begin(), state.wanted.end(),
                   [&](ExpertItem a, ExpertItem b) { return urgency(a) > urgency(b); });
  return state.wanted;
}

[[maybe_unused]] const bool registered = Registry<PrefetchPolicy>::instance().add(
    "score_threshold", "of the most similar past request the likeliest experts, fewer the more similar it is",
    prefetch_by_score);

}  // namespace
}  // namespace moesim
