// Hosts differ by more than GPUs of one kind do, and a profile speaks of one: what a fit hears of the files of others.
#pragma once

#include <string>
#include <vector>

#include "validation/measurements.h"

namespace moesim {

// Marks the files named ("a.json,b.json", as their sources are) as of another host, and removes their CPU experts and
// offloaded layers, which speak of the host alone. "" marks none. A name that is no file's is a ConfigError, with what
// may have been meant.
void mark_other_hosts(const std::string& names, std::vector<MeasurementFile>& files);

}  // namespace moesim
