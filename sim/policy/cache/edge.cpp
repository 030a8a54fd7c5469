// EdgeMoE (arXiv 2308.14352): experts that are seldom used and far from the layer that runs leave first. Its page
// leaves open how the two are weighed; here an expert is worth its uses over the turns until its layer runs.

#include "sim/policy/cache/outlook.h"

namespace moesim {
namespace {

ExpertItem cache_edge(CacheState& state, const CacheEvent& event, const NoOptions&, Rng&) {
  count_uses(state, event);
  if (event.kind != CacheEventKind::choose) return kNoItem;
  return least_by_layer(
      event, [&](int32_t layer) { return turns_ahead(event, layer); },
      [&](ExpertItem item, int32_t ahead) { return double(state.count[size_t(item)] + 1) / double(ahead); });
}

[[maybe_unused]] const bool registered = Registry<CachePolicy>::instance().add(
    "edge", "the seldom used and far from the layer that runs leaves", cache_edge);

}  // namespace
}  // namespace moesim
