#include "sim/policy/prediction/learn.h"

#include <algorithm>

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace moesim {
namespace {

// How often each expert was chosen, by rows of what was known.
struct Counts {
  Counts(size_t rows, size_t experts_of_all) : experts(experts_of_all), chosen(rows * experts, 0), seen(rows, 0) {}

  void add(size_t row, std::span<const uint16_t> choices) {
    ++seen[row];
    for (const uint16_t expert : choices)
      if (expert != kNoExpert) ++chosen[row * experts + expert];
  }

  size_t experts;
  std::vector<uint32_t> chosen;
  std::vector<uint32_t> seen;
};

// Half a token more for each expert, so that none is impossible.
std::vector<double> prior_of(const PredictionInput& in, int32_t layer) {
  std::vector<double> prior(size_t(in.experts), 0.5);
  for (int64_t token = 0; token < in.past.tokens; ++token)
    for (const uint16_t expert : in.past.choices(token, layer))
      if (expert != kNoExpert) prior[expert] += 1;
  for (double& value : prior) value /= double(in.past.tokens) + 1;
  return prior;
}

std::vector<float> table_of(const Counts& counts, const std::vector<float>& log_prior, TableWeight weight) {
  std::vector<float> table(counts.chosen.size(), 0);
  std::vector<double> prior;
  for (const float value : log_prior) prior.push_back(exact_exp(double(value)));
  for (size_t row = 0; row < counts.seen.size(); ++row) {
    const double seen = counts.seen[row];
    if (counts.seen[row] == 0) continue;
    for (size_t expert = 0; expert < counts.experts; ++expert) {
      const double chosen = counts.chosen[row * counts.experts + expert];
      const double conditional = (chosen + weight.smoothing * prior[expert]) / (seen + weight.smoothing);
      table[row * counts.experts + expert] = float(weight.weight * exact_log(conditional / prior[expert]));
    }
  }
  return table;
}

std::vector<float> rows_by(const PredictionInput& in, int32_t layer, size_t rows, std::span<const size_t> row_of_token,
                           TableWeight weight, const std::vector<float>& prior) {
  Counts counts(rows, size_t(in.experts));
  for (int64_t token = 0; token < in.past.tokens; ++token)
    counts.add(row_of_token[size_t(token)], in.past.choices(token, layer));
  return table_of(counts, prior, weight);
}

}  // namespace

ExpertPredictor learn_priors(const PredictionInput& in) {
  ExpertPredictor predictor;
  predictor.experts = in.experts;
  predictor.gpus = in.gpus;
  predictor.token_ids.assign(in.past.token.begin(), in.past.token.end());
  std::sort(predictor.token_ids.begin(), predictor.token_ids.end());
  predictor.token_ids.erase(std::unique(predictor.token_ids.begin(), predictor.token_ids.end()),
                            predictor.token_ids.end());
  for (int32_t layer = 0; layer < in.layers; ++layer) {
    std::vector<int32_t>& gpu_of = predictor.gpu_of.emplace_back();
    for (const std::vector<GpuId>& hosts : in.placement.hosts[size_t(layer)]) gpu_of.push_back(int32_t(hosts.front()));
    std::vector<float>& prior = predictor.layers.emplace_back().prior;
    for (const double value : prior_of(in, layer)) prior.push_back(float(exact_log(value)));
  }
  return predictor;
}

void learn_tokens(const PredictionInput& in, TableWeight weight, ExpertPredictor& predictor) {
  const std::vector<int32_t>& ids = predictor.token_ids;
  if (ids.empty()) return;
  std::vector<size_t> row_of_token;
  for (const int32_t id : in.past.token)
    row_of_token.push_back(size_t(std::lower_bound(ids.begin(), ids.end(), id) - ids.begin()));
  for (int32_t layer = 0; layer < in.layers; ++layer) {
    PredictedLayer& tables = predictor.layers[size_t(layer)];
    tables.by_token = rows_by(in, layer, ids.size(), row_of_token, weight, tables.prior);
  }
}

void learn_domains(const PredictionInput& in, TableWeight weight, ExpertPredictor& predictor) {
  if (in.past.domain.empty()) return;
  const std::vector<size_t> row_of_token(in.past.domain.begin(), in.past.domain.end());
  const size_t rows = *std::max_element(row_of_token.begin(), row_of_token.end()) + 1;
  for (int32_t layer = 0; layer < in.layers; ++layer) {
    PredictedLayer& tables = predictor.layers[size_t(layer)];
    tables.by_domain = rows_by(in, layer, rows, row_of_token, weight, tables.prior);
  }
}

void learn_transitions(const PredictionInput& in, TableWeight weight, ExpertPredictor& predictor) {
  for (int32_t layer = 1; layer < in.layers; ++layer) {
    Counts counts(size_t(in.experts), size_t(in.experts));
    for (int64_t token = 0; token < in.past.tokens; ++token)
      for (const uint16_t before : in.past.choices(token, layer - 1))
        if (before != kNoExpert) counts.add(before, in.past.choices(token, layer));
    PredictedLayer& tables = predictor.layers[size_t(layer)];
    tables.by_expert = table_of(counts, tables.prior, weight);
  }
}

void learn_gpus(const PredictionInput& in, TableWeight weight, ExpertPredictor& predictor) {
  const size_t rows = size_t(in.gpus) * size_t(in.gpus);
  const auto gpu = [&](int64_t token, int32_t layer) {
    return gpu_of_most(in.past.choices(token, layer), predictor.gpu_of[size_t(layer)], in.gpus);
  };
  for (int32_t layer = 2; layer < in.layers; ++layer) {
    std::vector<size_t> row_of_token;
    for (int64_t token = 0; token < in.past.tokens; ++token)
      row_of_token.push_back(size_t(gpu(token, layer - 2) * in.gpus + gpu(token, layer - 1)));
    PredictedLayer& tables = predictor.layers[size_t(layer)];
    tables.by_gpus = rows_by(in, layer, rows, row_of_token, weight, tables.prior);
  }
}

void learn_nearest(ExpertPredictor& predictor) {
  const size_t experts = size_t(predictor.experts);
  const size_t rows = predictor.token_ids.size();
  if (rows == 0) return;
  for (const PredictedLayer& layer : predictor.layers) {
    CHECK(layer.by_token.size() == rows * experts);
    std::vector<float>& turned = predictor.nearest.emplace_back(layer.by_token.size());
    for (size_t row = 0; row < rows; ++row)
      for (size_t expert = 0; expert < experts; ++expert)
        turned[expert * rows + row] = layer.by_token[row * experts + expert];
  }
}

}  // namespace moesim
