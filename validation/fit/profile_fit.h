// Fits the parameters of a profile to measured times: each part alone, the choices that are no numbers by trying each,
// then all parameters on all times together, since layers and steps speak of several parts at once.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "validation/fit/observations.h"

namespace moesim {

struct FitContext {
  const std::vector<FitPart>& parts;
  const GpuSpec& gpu;
  const Predictor& predictor;
  std::function<void()> tick;  // called after each of the fits: one a part, one of all
};

struct FittedProfile {
  DeviceProfile profile;                  // its numbers not yet rounded
  std::vector<std::string> undetermined;  // paths of parameters that no time depends on: still where they started
};

FittedProfile fit_profile(const DeviceProfile& start, const Observations& observations, const FitContext& context);

// Huber's loss of all times at the scale of the noise expected, so that profiles compare.
double loss_of(const DeviceProfile& profile, const Observations& observations, const FitContext& context);

// All parameters of the parts to four digits.
void round_parameters(DeviceProfile& profile, const std::vector<FitPart>& parts);

}  // namespace moesim
