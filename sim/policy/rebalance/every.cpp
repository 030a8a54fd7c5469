// A new placement every so many steps, whether it is needed or not.

#include "sim/moe/rebalance.h"

namespace moesim {
namespace {

struct EveryOptions {
  int32_t steps = 10;  // as SmartMoE looks for a better placement
};

template <class Visitor>
void fields(Visitor& v, EveryOptions& s) {
  v.optional("steps", s.steps, between(1, 1'000'000),
             "from one rebalance to the next; where weights take longer to arrive, the next waits for them");
}

bool rebalance_every(RebalanceState& state, const RebalanceObservation& seen, const EveryOptions& options, Rng&) {
  if (++state.steps < options.steps || seen.migrating) return false;
  state.steps = 0;
  return true;
}

[[maybe_unused]] const bool registered =
    Registry<RebalancePolicy>::instance().add("every", "every so many steps", rebalance_every);

}  // namespace
}  // namespace moesim
