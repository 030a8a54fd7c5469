// A new placement where the present one would be out of balance.

#include "sim/moe/rebalance.h"

namespace moesim {
namespace {

struct ThresholdOptions {
  double max_over_mean = 1.2;
  int32_t pause = 5;
};

template <class Visitor>
void fields(Visitor& v, ThresholdOptions& s) {
  v.optional("max_over_mean", s.max_over_mean, between(1.0, 1000.0),
             "predicted load of the fullest GPU over the mean, mean over MoE layers, beyond which to rebalance");
  v.optional("pause", s.pause, between(1, 1'000'000),
             "least number of steps from one rebalance to the next, so that a limit that cannot be met does not stop "
             "all work");
}

bool rebalance_at_threshold(RebalanceState& state, const RebalanceObservation& seen, const ThresholdOptions& options,
                            Rng&) {
  if (++state.steps < options.pause || seen.migrating || seen.predicted_max_over_mean <= options.max_over_mean)
    return false;
  state.steps = 0;
  return true;
}

[[maybe_unused]] const bool registered = Registry<RebalancePolicy>::instance().add(
    "threshold", "where GPUs would be loaded too unevenly", rebalance_at_threshold);

}  // namespace
}  // namespace moesim
