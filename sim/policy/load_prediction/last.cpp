// The next steps will be as the last one was.

#include "sim/moe/load_prediction.h"

namespace moesim {
namespace {

ExpertLoads predict_last(LoadHistory&, const ExpertLoads& step, const NoOptions&, Rng&) { return step; }

[[maybe_unused]] const bool registered =
    Registry<LoadPredictionPolicy>::instance().add("last", "as in the last step", predict_last);

}  // namespace
}  // namespace moesim
