// As many of the next layer's likeliest experts as can be copied until its experts begin, and no more: no copy of an
// expert that is not needed is still under way when one that is needed has to wait for the bus.

#include "sim/policy/prefetch/likeliest.h"

namespace moesim {
namespace {

std::span<const ExpertItem> prefetch_window(PrefetchState& state, const PrefetchInput& in, const NoOptions&, Rng&) {
  state.wanted.clear();
  const int64_t copies = copies_in_window(in);
  if (in.layer + 1 >= in.layers || copies == 0) return {};
  std::vector<int32_t> ranked;
  rank_experts(in, in.layer + 1, in.experts, ranked);
  want_absent(in, in.layer + 1, ranked, copies, state.wanted);
  return state.wanted;
}

[[maybe_unused]] const bool registered = Registry<PrefetchPolicy>::instance().add(
    "window", "as many of the next layer's likeliest experts as can be copied until they begin", prefetch_window);

}  // namespace
}  // namespace moesim
