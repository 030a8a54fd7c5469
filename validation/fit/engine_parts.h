// What a fit has more where files are of serving engines: kernels of their own in fp8, one kernel for what PyTorch does
// in several, and attention's terms of blocks.
#pragma once

#include <vector>

#include "validation/fit/fit_parts.h"

namespace moesim {

// The parts of fp8 kernels, where the profile has such.
std::vector<FitPart> engine_parts(const DeviceProfile& profile);

// Gives the profile the members that imported files speak of. Files of our own change nothing.
void prepare_engine(DeviceProfile& profile, const std::vector<MeasurementFile>& files);

}  // namespace moesim
