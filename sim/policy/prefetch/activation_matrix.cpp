// The most similar of past requests tells what the present ones will choose in all layers to come; nearer layers count
// more. Of MoE-Infinity (arXiv 2401.14361). Asks for no forecast.

#include <algorithm>

#include "sim/policy/prefetch/likeliest.h"
#include "sim/policy/prefetch/matrices.h"

namespace moesim {
namespace {

struct ActivationMatrixOptions : MatrixOptions {
  int32_t longest = 256;
};

template <class Visitor>
void fields(Visitor& v, ActivationMatrixOptions& s) {
  matrix_fields(v, s);
  v.optional("longest", s.longest, between(1, 100'000), "most experts wanted at once; the next layer asks anew");
}

struct Ranked {
  double priority = 0;
  ExpertItem item = kNoItem;
};

std::span<const ExpertItem> prefetch_by_matrix(PrefetchState& state, const PrefetchInput& in,
                                               const ActivationMatrixOptions& options, Rng&) {
  state.wanted.clear();
  const MatrixMatch match = match_matrix(state, in, options);
  std::vector<Ranked> ranked;
  for (int32_t layer = in.layer + 1; layer < in.layers; ++layer) {
    const double decay = 1 - double(layer - in.layer) / double(in.layers + 1);
    for (int32_t expert = 0; expert < in.experts; ++expert) {
      const ExpertItem item = item_of(in, layer, expert);
      const double priority = double(match.matrix[size_t(item)]) * decay;
      if (priority > 0 && in.is_hosted(item)) ranked.push_back({priority, item});
    }
  }
  const auto end = ranked.begin() + std::min<ptrdiff_t>(std::ssize(ranked), options.longest);
  std::partial_sort(ranked.begin(), end, ranked.end(), [](const Ranked& a, const Ranked& b) {
    return a.priority != b.priority ? a.priority > b.priority : a.item < b.item;
  });
  std::vector<int64_t> places(in.places.begin(), in.places.end());
  for (auto at = ranked.begin(); at != end; ++at)
    if (places[size_t(at->item / in.experts)]-- > 0 && in.present[size_t(at->item)] == 0)
      state.wanted.push_back(at->item);
  return state.wanted;
}

[[maybe_unused]] const bool registered = Registry<PrefetchPolicy>::instance().add(
    "activation_matrix", "what the most similar past request chose in all layers to come, nearer ones first",
    prefetch_by_matrix);

}  // namespace
}  // namespace moesim
