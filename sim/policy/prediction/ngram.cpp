// N-gram over GPUs: the two GPUs that hosted most of a token's experts in the two layers before. Of Speculative MoE's
// table A (arXiv 2503.04398).

#include "sim/policy/prediction/learn.h"

namespace moesim {
namespace {

struct NgramOptions {
  double smoothing = 5;
};

template <class Visitor>
void fields(Visitor& v, NgramOptions& s) {
  v.optional("smoothing", s.smoothing, above(0.0), "average tokens that every pair of GPUs counts besides its own");
}

ExpertPredictor predict_by_gpus(const PredictionInput& in, const NgramOptions& options, Rng&) {
  ExpertPredictor predictor = learn_priors(in);
  learn_gpus(in, {1, options.smoothing}, predictor);
  return predictor;
}

[[maybe_unused]] const bool registered = Registry<PredictionPolicy>::instance().add(
    "ngram", "by the GPUs of most of its experts in the two layers before", predict_by_gpus);

}  // namespace
}  // namespace moesim
