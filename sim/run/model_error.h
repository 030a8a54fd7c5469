// How far off a step time may be, from the errors that the device profile had on what its fit has not seen.
#pragma once

#include <optional>
#include <string>

#include "models/device_profile.h"
#include "sim/moe/schedule.h"
#include "sim/run/results.h"

namespace moesim {

// The 90th percentile of the held-out errors of an operation, as a fraction: that of the worst of the profile's parts
// that it consists of. None where the profile was not held to anything there.
std::optional<double> operation_error(const DeviceProfile& profile, Operation operation);

// The band around the step time: each operation's exposed time times its error. Errors of one operation are all of the
// same sign, those of different operations independent, so their squares add. Whole steps that were held out, where
// the profile has them, speak for all that computes.
std::optional<ModelErrorResult> model_error(const DeviceProfile& profile, const Results& results);

// Whether two step times differ by no more than the wider of their bands.
bool is_within_model_error(const Results& a, const Results& b);

}  // namespace moesim
