// Routing traces in HDF5, the format of record. Datasets: /ids [tokens, layers, k], and where recorded /gate of that
// shape and /token, /request, /position, /phase, /step, /rank, /domain [tokens]. Attributes of the root:
// format_version (1), experts, and where known top_k, zero_experts, model, source, recorded, layer_numbers, domains.
#pragma once

#include <string>

#include "traces/child_process.h"
#include "traces/routing_trace.h"

namespace moesim {

inline constexpr int64_t kTraceFormatVersion = 1;

// HDF5's parser can be crashed by a crafted file, so the file is opened, parsed and read in a child process with
// limits, which sends the arrays back. To check there and open here would be less work, but leaves the parser that
// was just found crashable in this process, with a file that may have changed meanwhile.
// Throws ConfigError for whatever is wrong with the file, a crash of the child included.
RoutingTrace read_hdf5_trace(const std::string& path, const ChildLimits& limits = {});

// Chunked, compressed, without time stamps: the same trace gives the same bytes (with the same zlib). Gates are stored
// in 16 bits if that loses nothing. Written beside the path and renamed, so that no half a file is ever seen there.
// The trace must pass check_trace. Throws ConfigError where the file cannot be written.
void write_hdf5_trace(const RoutingTrace& trace, const std::string& path);

}  // namespace moesim
