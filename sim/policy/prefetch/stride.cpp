// Predicts a layer several ahead while nearer ones are still being fetched, so that predictions and copies overlap: the
// stride of ProMoE (arXiv 2410.22134). Each layer is predicted once; what of it has not been copied stays wanted.

#include "sim/policy/prefetch/likeliest.h"

namespace moesim {
namespace {

struct StrideOptions {
  int32_t stride = 2;
  int32_t limit = 0;
};

template <class Visitor>
void fields(Visitor& v, StrideOptions& s) {
  v.optional("stride", s.stride, between(1, 1000), "layers ahead of the one that has been routed");
  v.optional("limit", s.limit, between(0, 100'000), "most experts of a layer; 0: as many as tokens may choose");
}

// Before a step, the layers that no turn will predict are predicted besides.
std::span<const ExpertItem> prefetch_stride(PrefetchState& state, const PrefetchInput& in, const StrideOptions& options,
                                            Rng&) {
  state.wanted.clear();
  state.table.resize(size_t(in.layers));
  const int64_t most = options.limit > 0 ? options.limit : experts_needed_most(in);
  const int32_t end = layers_end(in, options.stride);
  const int32_t first = in.layer < 0 ? 0 : in.layer + options.stride;
  for (int32_t layer = first; layer < end; ++layer) rank_experts(in, layer, most, state.table[size_t(layer)]);
  for (int32_t layer = in.layer + 1; layer < end; ++layer)
    want_absent(in, layer, state.table[size_t(layer)], INT64_MAX, state.wanted);
  return state.wanted;
}

[[maybe_unused]] const bool registered = Registry<PrefetchPolicy>::instance().add(
    "stride", "the likeliest experts of a layer several ahead, after what nearer ones still lack", prefetch_stride);

}  // namespace
}  // namespace moesim
