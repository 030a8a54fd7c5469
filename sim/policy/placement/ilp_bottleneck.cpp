// Our own objective by integer programs, one a layer: the time of the busiest GPU's products, plus that of the busiest
// link in the dispatch and in the combine, over the topology's real paths.

#include "sim/policy/placement/load_program.h"

namespace moesim {
namespace {

Placement place_ilp_bottleneck(const PlacementInput& in, const ProgramOptions& options, Rng&) {
  if (in.costs.token_s.empty()) {
    Placement placement = place_by_load(in, options, [&](size_t layer) { return product_costs(in, layer); });
    placement.proof->warnings.push_back("nothing is known of times and links: the load alone was balanced");
    return placement;
  }
  return place_by_load(in, options, [costs = placement_objective(in)](size_t) { return costs; });
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "ilp_bottleneck", "integer programs: the least time of the busiest GPU and the busiest links", place_ilp_bottleneck,
    {PlacementNeeds::costs});

}  // namespace
}  // namespace moesim
