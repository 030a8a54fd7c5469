// Nothing is faster than the data sheet: neither a measurement nor a profile made from it. A file in the wrong unit
// (milliseconds for microseconds) is found out here.
#pragma once

#include <string>
#include <vector>

#include "models/device_profile.h"
#include "models/devices.h"
#include "sim/config/error.h"
#include "validation/measurements.h"

namespace moesim {

// The least time that the data sheet allows, in microseconds; 0 where it says nothing. Bytes count beyond what caches
// may hold from the repetition before.
double least_us(const Measurement& measurement, const GpuSpec& gpu);

// Each measurement below 0.98 of that, with its number in the file.
std::vector<Fault> check_measurements(const MeasurementFile& file, const GpuSpec& gpu);

// What no real device does: faster than the data sheet, below a hundredth of it, a launch of over a millisecond.
std::vector<Fault> check_profile(const DeviceProfile& profile, const GpuSpec& gpu);

}  // namespace moesim
