// Hosts differ by more than GPUs of one kind do, and a profile speaks of one: which files' records of it a fit hears.
#pragma once

#include <string>
#include <vector>

#include "validation/measurements.h"

namespace moesim {

// Removes the CPU's experts and the offloaded layers of all files but those named ("a.json,b.json", as their sources
// are). "" removes nothing. A name that is no file's is a ConfigError, with what may have been meant.
void keep_host_records(const std::string& names, std::vector<MeasurementFile>& files);

}  // namespace moesim
