// The one way to read a routing trace, whatever file it is in.
#pragma once

#include <string>

#include "traces/routing_trace.h"

namespace moesim {

// HDF5 or .npz, told apart by their content and not by their names. Files up to 4 GiB and traces within the limits of
// routing_trace.h. Throws ConfigError, which says what is wrong with the file.
RoutingTrace read_routing_trace(const std::string& path);

// Whether the first bytes are those of HDF5. ConfigError where there is no file to look at.
bool is_hdf5(const std::string& path);

}  // namespace moesim
