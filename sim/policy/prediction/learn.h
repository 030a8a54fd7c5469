// The tables of predictors, learnt from past tokens by counting.
//
// A table adds weight * (ln P(expert | what is known) - ln P(expert)). The conditional probability counts `smoothing`
// tokens more than there were, which choose as all tokens do, so that what was seen once says little.
#pragma once

#include "sim/moe/prediction.h"

namespace moesim {

struct TableWeight {
  double weight = 1;
  double smoothing = 2;
};

// With the priors of all layers, the ids and the first hosts; no other table.
ExpertPredictor learn_priors(const PredictionInput& in);

// Without recorded ids or domains these learn nothing.
void learn_tokens(const PredictionInput& in, TableWeight weight, ExpertPredictor& predictor);
void learn_domains(const PredictionInput& in, TableWeight weight, ExpertPredictor& predictor);

void learn_transitions(const PredictionInput& in, TableWeight weight, ExpertPredictor& predictor);
void learn_gpus(const PredictionInput& in, TableWeight weight, ExpertPredictor& predictor);

// What predict_experts() needs to find the nearest of the learnt ids; learn_tokens() comes first.
void learn_nearest(ExpertPredictor& predictor);

}  // namespace moesim
