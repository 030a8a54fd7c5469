// What a profile says that a measurement takes. Layers, steps and collectives run through the simulator, as a scenario
// would; single kernels and copies are asked of the cost model.
#pragma once

#include <string>
#include <vector>

#include "models/cost_model.h"
#include "models/device_profile.h"
#include "validation/measurements.h"

namespace moesim {

struct Predicted {
  std::string phase;  // as in the measurement
  double us = 0;
};

struct PredictionModel {
  DeviceProfile profile;
  GpuSpec gpu;        // that is predicted; the profile's fractions are of its data sheet
  int32_t world = 1;  // ranks of the file, which eager launches depend on
};

// One for each phase of the measurement that the profile can predict; none for kinds it knows nothing of.
std::vector<Predicted> predict(const PredictionModel& model, const Measurement& measurement);

}  // namespace moesim
