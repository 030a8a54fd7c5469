// A mean in which each step counts less the longer it is past: average = weight x step + (1 - weight) x average.

#include <cmath>

#include "sim/core/check.h"
#include "sim/moe/load_prediction.h"

namespace moesim {
namespace {

// Averages are rounded to 1 / 1024 of a token, so that steps of few tokens lose nothing that matters.
constexpr double kScale = 1024;

struct ExponentialOptions {
  double weight = 0.3;
};

template <class Visitor>
void fields(Visitor& v, ExponentialOptions& s) {
  v.optional("weight", s.weight, between(0.001, 1.0), "of the last step; 1 is `last`");
}

ExpertLoads predict_exponential(LoadHistory& history, const ExpertLoads& step, const ExponentialOptions& options,
                                Rng&) {
  if (history.average.empty())
    for (const std::vector<int64_t>& layer : step) history.average.emplace_back(layer.begin(), layer.end());
  CHECK(history.average.size() == step.size());
  ExpertLoads prediction = step;
  for (size_t layer = 0; layer < step.size(); ++layer)
    for (size_t expert = 0; expert < step[layer].size(); ++expert) {
      double& average = history.average[layer][expert];
      average += options.weight * (double(step[layer][expert]) - average);
      prediction[layer][expert] = std::llround(average * kScale);
    }
  return prediction;
}

[[maybe_unused]] const bool registered = Registry<LoadPredictionPolicy>::instance().add(
    "exponential", "a mean in which older steps count less and less", predict_exponential);

}  // namespace
}  // namespace moesim
