// A trace's file, checked to be one that can be read at all.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sim/core/units.h"

namespace moesim {

inline constexpr Bytes kTraceFileMax{int64_t{1} << 32};

// The size of a regular file that is not empty. ConfigError for anything else: missing, a directory, a pipe.
Bytes checked_file_size(const std::string& path);

// A file larger than kTraceFileMax is a ConfigError.
std::vector<std::byte> whole_file(const std::string& path);
std::vector<std::byte> first_bytes(const std::string& path, size_t bytes);  // fewer if the file is shorter

}  // namespace moesim
