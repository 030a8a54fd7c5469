#include "sim/policy/prefetch/likeliest.h"

#include <algorithm>

namespace moesim {

int64_t copies_in_window(const PrefetchInput& in) {
  if (in.copy.ps <= 0) return int64_t{in.layers} * in.experts;
  return std::max<int64_t>(in.window.ps, 0) / in.copy.ps;
}

int64_t experts_needed_most(const PrefetchInput& in) {
  return std::min<int64_t>(in.experts, std::min<int64_t>(in.tokens, in.experts) * in.top_k);
}

int32_t layers_end(const PrefetchInput& in, int32_t layers_ahead) {
  return int32_t(std::min<int64_t>(in.layers, int64_t{in.layer} + 1 + layers_ahead));
}

void rank_by(const PrefetchInput& in, int32_t layer, std::span<const float> expected, int64_t most,
             std::vector<int32_t>& ranked) {
  ranked.clear();
  for (int32_t expert = 0; expert < in.experts; ++expert)
    if (expected[size_t(expert)] > 0 && in.is_hosted(item_of(in, layer, expert))) ranked.push_back(expert);
  const int64_t listed = std::min({int64_t(ranked.size()), in.places[size_t(layer)], std::max<int64_t>(most, 0)});
  std::partial_sort(ranked.begin(), ranked.begin() + listed, ranked.end(), [&](int32_t a, int32_t b) {
    const float of_a = expected[size_t(a)];
    const float of_b = expected[size_t(b)];
    return of_a != of_b ? of_a > of_b : a < b;
  });
  ranked.resize(size_t(listed));
}

void rank_experts(const PrefetchInput& in, int32_t layer, int64_t most, std::vector<int32_t>& ranked) {
  rank_by(in, layer, in.forecast(layer), most, ranked);
}

void want_absent(const PrefetchInput& in, int32_t layer, std::span<const int32_t> ranked, int64_t longest,
                 std::vector<ExpertItem>& wanted) {
  for (const int32_t expert : ranked) {
    if (int64_t(wanted.size()) >= longest) return;
    const ExpertItem item = item_of(in, layer, expert);
    if (in.present[size_t(item)] == 0) wanted.push_back(item);
  }
}

}  // namespace moesim
