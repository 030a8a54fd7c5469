// The child's side of reading an HDF5 trace: it opens the file, and answers requests for blocks of tokens.
#pragma once

#include <string>

#include "traces/child_process.h"

namespace moesim {

// Replies with the head of the trace, then to each request with the arrays asked for, until there are no more. The
// first fault ends it.
void serve_trace(const std::string& path, const ChildLimits& limits, int requests, int replies);

}  // namespace moesim
