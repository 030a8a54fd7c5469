// Files read whole and written whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace moesim {

// The file's bytes. A ConfigError says why it cannot be read, or that it is larger than bytes_max; that holds for what
// has no size to ask for (a pipe, /dev/zero) too.
std::string read_text_file(const std::filesystem::path& path, int64_t bytes_max);

// Writes beside the file and renames, so that a reader, a crash or a full disk never leaves half a file under this
// name. What is not a regular file (a pipe, /dev/null) is written to as it is. A failure is a ConfigError.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

}  // namespace moesim
