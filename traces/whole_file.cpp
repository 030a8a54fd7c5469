#include "traces/whole_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "sim/config/error.h"

namespace moesim {

Bytes checked_file_size(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) throw ConfigError(path, "there is no such file");
  if (std::filesystem::is_directory(status)) throw ConfigError(path, "is a directory, not a file");
  if (!std::filesystem::is_regular_file(status)) throw ConfigError(path, "is no regular file");
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error) throw ConfigError(path, fmt::format("cannot be read ({})", error.message()));
  if (size == 0) throw ConfigError(path, "is empty");
  return {int64_t(size)};
}

std::vector<std::byte> first_bytes(const std::string& path, size_t bytes) {
  std::vector<std::byte> content(std::min(bytes, size_t(checked_file_size(path).count)));
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(content.data()), std::streamsize(content.size()));
  if (!file) throw ConfigError(path, "cannot be read");
  return content;
}

std::vector<std::byte> whole_file(const std::string& path) {
  const Bytes size = checked_file_size(path);
  if (size > kTraceFileMax)
    throw ConfigError(
        path, fmt::format("has {} bytes, but a file that is read whole may have {}", size.count, kTraceFileMax.count));
  return first_bytes(path, size_t(size.count));
}

}  // namespace moesim
