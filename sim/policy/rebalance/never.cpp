// The first placement stays.

#include "sim/moe/rebalance.h"

namespace moesim {
namespace {

bool rebalance_never(RebalanceState&, const RebalanceObservation&, const NoOptions&, Rng&) { return false; }

[[maybe_unused]] const bool registered =
    Registry<RebalancePolicy>::instance().add("never", "the first placement stays", rebalance_never);

}  // namespace
}  // namespace moesim
