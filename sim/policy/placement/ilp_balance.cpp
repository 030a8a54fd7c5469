// Load balance by integer programs, one a layer: the least largest load of a GPU, with copies of hot experts where
// there are spare slots.

#include "sim/policy/placement/load_program.h"

namespace moesim {
namespace {

Placement place_ilp_balance(const PlacementInput& in, const ProgramOptions& options, Rng&) {
  return place_by_load(in, options, [&](size_t layer) { return product_costs(in, layer); });
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "ilp_balance", "integer programs: the least largest load of a GPU, with copies", place_ilp_balance,
    {PlacementNeeds::costs});

}  // namespace
}  // namespace moesim
