// All that is known of a token at once: its id, its domain and its experts in the layer before, as sources that are
// independent but for their weights. Speculative MoE takes the surer one of two tables instead.

#include "sim/policy/prediction/learn.h"

namespace moesim {
namespace {

// Of the transition's weight 0.3 and 0.5 were tried on the sample, and differ by less than a point of local choices.
struct CombinedOptions {
  double token = 1;
  double domain = 0.7;
  double transition = 0.3;
  double smoothing = 2;
  bool nearest = false;
};

template <class Visitor>
void fields(Visitor& v, CombinedOptions& s) {
  v.optional("token", s.token, between(0.0, 2.0), "weight of the token's id");
  v.optional("domain", s.domain, between(0.0, 2.0), "weight of the request's domain, where it is recorded");
  v.optional("transition", s.transition, between(0.0, 2.0), "weight of each of its experts in the layer before");
  v.optional("smoothing", s.smoothing, above(0.0), "average tokens that every id counts besides its own");
  v.optional("nearest", s.nearest, "whether unknown ids take the row of the nearest known one");
}

// Domains and experts have been seen often; what they count besides matters little.
constexpr double kDomainSmoothing = 20;
constexpr double kExpertSmoothing = 5;

ExpertPredictor predict_combined(const PredictionInput& in, const CombinedOptions& options, Rng&) {
  ExpertPredictor predictor = learn_priors(in);
  if (options.token > 0) learn_tokens(in, {options.token, options.smoothing}, predictor);
  if (options.domain > 0) learn_domains(in, {options.domain, kDomainSmoothing}, predictor);
  if (options.transition > 0) learn_transitions(in, {options.transition, kExpertSmoothing}, predictor);
  if (options.nearest && options.token > 0) learn_nearest(predictor);
  return predictor;
}

[[maybe_unused]] const bool registered = Registry<PredictionPolicy>::instance().add(
    "combined", "by id, domain and experts of the layer before together", predict_combined);

}  // namespace
}  // namespace moesim
