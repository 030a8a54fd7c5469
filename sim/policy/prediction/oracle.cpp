// Oracle: reads what tokens will choose, and gets each choice right with a set probability. The bound of all others.

#include "sim/policy/prediction/learn.h"

namespace moesim {
namespace {

struct OracleOptions {
  double accuracy = 1;
};

template <class Visitor>
void fields(Visitor& v, OracleOptions& s) {
  v.optional("accuracy", s.accuracy, between(0.0, 1.0),
             "probability that a choice is predicted right; else a random expert takes its place");
}

ExpertPredictor predict_by_oracle(const PredictionInput& in, const OracleOptions& options, Rng&) {
  ExpertPredictor predictor = learn_priors(in);
  predictor.layers.clear();
  predictor.oracle = options.accuracy;
  return predictor;
}

[[maybe_unused]] const bool registered = Registry<PredictionPolicy>::instance().add(
    "oracle", "reads the future: each choice is right with a set probability", predict_by_oracle);

}  // namespace
}  // namespace moesim
