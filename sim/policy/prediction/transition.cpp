// Transitions: each expert of a token in the layer before votes for those that its tokens chose next.

#include "sim/policy/prediction/learn.h"

namespace moesim {
namespace {

// The experts of a token are far from independent, so that each counts for less than one.
struct TransitionOptions {
  double weight = 0.4;
  double smoothing = 5;
};

template <class Visitor>
void fields(Visitor& v, TransitionOptions& s) {
  v.optional("weight", s.weight, between(0.0, 1.0), "of each expert's vote; 1 would hold for independent experts");
  v.optional("smoothing", s.smoothing, above(0.0), "average tokens that every expert counts besides its own");
}

ExpertPredictor predict_by_transition(const PredictionInput& in, const TransitionOptions& options, Rng&) {
  ExpertPredictor predictor = learn_priors(in);
  learn_transitions(in, {options.weight, options.smoothing}, predictor);
  return predictor;
}

[[maybe_unused]] const bool registered = Registry<PredictionPolicy>::instance().add(
    "transition", "by its experts in the layer before", predict_by_transition);

}  // namespace
}  // namespace moesim
