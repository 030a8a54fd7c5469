#include "traces/npz_archive.h"

#include <fmt/core.h>

#include "sim/config/error.h"

namespace moesim {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

}  // namespace

Zip open_zip(std::span<const std::byte> bytes, const std::string& source) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* buffer = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  zip_t* zip = buffer ? zip_open_from_source(buffer, ZIP_RDONLY, &error) : nullptr;
  const std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  if (zip) return {zip, &zip_discard};
  if (buffer) zip_source_free(buffer);
  throw ConfigError(source, fmt::format("cannot be read as .npz, a zip archive: {}", reason));
}

std::vector<std::string> array_names(zip_t* zip) {
  std::vector<std::string> names;
  for (zip_int64_t entry = 0; entry < zip_get_num_entries(zip, 0); ++entry) {
    const char* const raw = zip_get_name(zip, zip_uint64_t(entry), ZIP_FL_ENC_RAW);
    const std::string name = raw == nullptr ? "" : raw;
    if (name.ends_with(".npy")) names.push_back(name.substr(0, name.size() - 4));
  }
  return names;
}

void inflate(zip_file_t* entry, size_t more, std::vector<std::byte>& bytes) {
  const size_t before = bytes.size();
  bytes.resize(before + more);
  size_t filled = before;
  while (filled < bytes.size()) {
    const zip_int64_t got = zip_fread(entry, bytes.data() + filled, bytes.size() - filled);
    if (got < 0) refuse(fmt::format("the array is damaged ({})", zip_error_strerror(zip_file_get_error(entry))));
    if (got == 0) break;
    filled += size_t(got);
  }
  bytes.resize(filled);
}

std::optional<OpenArray> open_array(zip_t* zip, const std::string& name) {
  const zip_int64_t found = zip_name_locate(zip, (name + ".npy").c_str(), ZIP_FL_ENC_RAW);
  if (found < 0) return {};
  OpenArray array{Entry(zip_fopen_index(zip, zip_uint64_t(found), 0)), {}, {}};
  if (!array.entry) refuse(fmt::format("the array cannot be opened ({})", zip_strerror(zip)));
  inflate(array.entry.get(), kNpyHeaderMax, array.begun);
  array.header = parse_npy_header(array.begun);
  array.begun.erase(array.begun.begin(), array.begun.begin() + ptrdiff_t(array.header.data_at));
  return array;
}

}  // namespace moesim
