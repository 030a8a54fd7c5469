// The mean of the last steps. Their sum stands for it, as predictions have no scale.

#include "sim/moe/load_prediction.h"

namespace moesim {
namespace {

struct MovingAverageOptions {
  int32_t window = 5;  // as Hecate has it
};

template <class Visitor>
void fields(Visitor& v, MovingAverageOptions& s) {
  v.optional("window", s.window, between(1, 1000), "steps that it looks back; each is kept");
}

ExpertLoads predict_moving_average(LoadHistory& history, const ExpertLoads& step, const MovingAverageOptions& options,
                                   Rng&) {
  history.steps.push_back(step);
  if (history.steps.size() > size_t(options.window)) history.steps.erase(history.steps.begin());
  ExpertLoads sum = history.steps[0];
  for (size_t back = 1; back < history.steps.size(); ++back)
    for (size_t layer = 0; layer < sum.size(); ++layer)
      for (size_t expert = 0; expert < sum[layer].size(); ++expert)
        sum[layer][expert] += history.steps[back][layer][expert];
  return sum;
}

[[maybe_unused]] const bool registered = Registry<LoadPredictionPolicy>::instance().add(
    "moving_average", "the mean of the last steps", predict_moving_average);

}  // namespace
}  // namespace moesim
