#include "sim/config/atomic_file.h"

#include <fmt/core.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include "sim/config/error.h"

namespace moesim {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunkBytes = size_t{1} << 20;

std::string reason_of(int error) { return std::generic_category().message(error); }

// Returns "" or why it failed.
std::string write_all(const fs::path& path, std::string_view content) {
  FILE* const file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return reason_of(errno);
  std::string failure;
  if (std::fwrite(content.data(), 1, content.size(), file) != content.size()) failure = reason_of(errno);
  if (std::fclose(file) != 0 && failure.empty()) failure = reason_of(errno);  // a full disk may show only here
  return failure;
}

[[noreturn]] void refuse_size(const fs::path& path, int64_t bytes_max) {
  throw ConfigError(path.string(), fmt::format("the file is larger than {} bytes, the most that is read", bytes_max));
}

}  // namespace

std::string read_text_file(const fs::path& path, int64_t bytes_max) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) throw ConfigError(path.string(), "is a directory, not a file");
  if (fs::is_regular_file(status)) {
    const uintmax_t size = fs::file_size(path, error);
    if (!error && size > uintmax_t(bytes_max)) refuse_size(path, bytes_max);
  }
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (file == nullptr) throw ConfigError(path.string(), "cannot be read: " + reason_of(errno));

  std::string text;
  for (size_t read = kChunkBytes; read == kChunkBytes;) {
    const size_t before = text.size();
    text.resize(before + kChunkBytes);
    read = std::fread(text.data() + before, 1, kChunkBytes, file.get());
    text.resize(before + read);
    if (int64_t(text.size()) > bytes_max) refuse_size(path, bytes_max);
  }
  if (std::ferror(file.get()) != 0) throw ConfigError(path.string(), "cannot be read: " + reason_of(errno));
  return text;
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  static std::atomic<int> writes = 0;  // two threads may write at once
  const auto refuse = [&](const std::string& reason) {
    throw ConfigError(path.string(), "cannot be written: " + reason);
  };

  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) refuse("it is a directory");
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    const std::string failure = write_all(path, content);
    if (!failure.empty()) refuse(failure);
    return;
  }
  // A rename would replace a symbolic link; what is meant is the file that it points to.
  const fs::path target = fs::is_symlink(fs::symlink_status(path, error)) ? fs::weakly_canonical(path, error) : path;
  const fs::path partial = target.string() + fmt::format(".partial-{}-{}", ::getpid(), writes.fetch_add(1));
  std::string failure = write_all(partial, content);
  if (failure.empty()) {
    fs::rename(partial, target, error);
    if (error) failure = error.message();
  }
  if (failure.empty()) return;
  fs::remove(partial, error);
  refuse(failure);
}

}  // namespace moesim
