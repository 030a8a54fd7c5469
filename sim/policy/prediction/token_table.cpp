// Token table: how often each token id chose each expert. An id that was never learnt takes the row of the learnt id
// that makes its choices in the layer before most likely, or nothing where no layer has been routed. Of Speculative
// MoE's table T (arXiv 2503.04398), whose nearest neighbour is by embedding, which traces do not record.

#include "sim/policy/prediction/learn.h"

namespace moesim {
namespace {

struct TokenTableOptions {
  double smoothing = 2;
  bool nearest = true;
};

template <class Visitor>
void fields(Visitor& v, TokenTableOptions& s) {
  v.optional("smoothing", s.smoothing, above(0.0), "average tokens that every id counts besides its own");
  v.optional("nearest", s.nearest, "whether unknown ids take the row of the nearest known one");
}

ExpertPredictor predict_by_token(const PredictionInput& in, const TokenTableOptions& options, Rng&) {
  ExpertPredictor predictor = learn_priors(in);
  learn_tokens(in, {1, options.smoothing}, predictor);
  if (options.nearest) learn_nearest(predictor);
  return predictor;
}

[[maybe_unused]] const bool registered = Registry<PredictionPolicy>::instance().add(
    "token_table", "by the token's id; unknown ids by the nearest known one", predict_by_token);

}  // namespace
}  // namespace moesim
