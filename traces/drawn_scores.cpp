#include "traces/drawn_scores.h"

#include <fmt/core.h>

#include <algorithm>

#include "traces/select_experts.h"

namespace moesim {

DrawnScores::DrawnScores(const SyntheticRouting& options, RoutingShape shape, uint64_t seed)
    : shape_{shape.layers, shape.experts, shape.experts},
      seed_(Rng::stream(seed, fmt::format("synthetic scores {}", options.stream)).next()) {
  const SyntheticRouter router(options, shape_, seed, 0);
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    const std::span<const double> weights = router.weights(layer);
    weights_.emplace_back(weights.begin(), weights.end());
  }
}

RoutingTrace DrawnScores::draw(int64_t first_token, int64_t tokens) const {
  RoutingTrace trace;
  trace.tokens = tokens;
  trace.layers = shape_.layers;
  trace.top_k = shape_.experts;
  trace.experts = shape_.experts;
  trace.source = "synthetic";
  trace.ids.reserve(size_t(tokens * shape_.layers * shape_.experts));
  trace.gate.reserve(trace.ids.capacity());
  std::vector<double> scores(static_cast<size_t>(shape_.experts));
  std::vector<ScoredExpert> row(scores.size());
  for (int64_t token = first_token; token < first_token + tokens; ++token) {
    Rng rng(splitmix64(seed_ ^ splitmix64(uint64_t(token))));
    for (const std::vector<double>& weights : weights_) {
      double sum = 0;
      for (size_t expert = 0; expert < weights.size(); ++expert) {
        scores[expert] = weights[expert] / rng.exponential();
        sum += scores[expert];
      }
      for (size_t expert = 0; expert < weights.size(); ++expert)
        row[expert] = {float(scores[expert] / sum), uint16_t(expert)};
      std::sort(row.begin(), row.end(), scores_higher);
      for (const ScoredExpert& scored : row) {
        trace.ids.push_back(scored.expert);
        trace.gate.push_back(scored.score);
      }
    }
  }
  return trace;
}

}  // namespace moesim
