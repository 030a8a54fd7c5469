#include <fmt/core.h>
#include <zip.h>

#include <cstring>
#include <list>
#include <memory>

#include "sim/core/check.h"
#include "traces/npy.h"
#include "traces/npz.h"
#include "traces/stored_choices.h"

namespace moesim {
namespace {

constexpr zip_uint16_t kDosDate = (1 << 5) | 1;  // 1 January 1980, the first that a zip can name
constexpr zip_uint32_t kDeflateLevel = 6;

struct CannotWrite {};

// The content of an entry must live until the archive is closed.
using Contents = std::list<std::string>;

template <class T>
void add_array(zip_t* zip, Contents& contents, const char* name, NpyType type, const std::vector<int64_t>& shape,
               const std::vector<T>& values) {
  CHECK(sizeof(T) == bytes_of(type));
  std::string& content = contents.emplace_back(npy_header(type, shape));
  content.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  zip_source_t* source = zip_source_buffer(zip, content.data(), content.size(), 0);
  if (!source) throw CannotWrite{};
  const zip_int64_t entry = zip_file_add(zip, (std::string(name) + ".npy").c_str(), source, 0);
  if (entry < 0) {
    zip_source_free(source);
    throw CannotWrite{};
  }
  if (zip_set_file_compression(zip, zip_uint64_t(entry), ZIP_CM_DEFLATE, kDeflateLevel) != 0 ||
      zip_file_set_dostime(zip, zip_uint64_t(entry), 0, kDosDate, 0) != 0)
    throw CannotWrite{};
}

void add_trace(zip_t* zip, Contents& contents, const RoutingTrace& trace) {
  const std::vector<int64_t> shape{trace.tokens, trace.layers, trace.top_k};
  add_array<int64_t>(zip, contents, "experts", NpyType::i8, {}, {trace.experts});
  if (trace.zero_experts > 0) add_array<int64_t>(zip, contents, "zero_experts", NpyType::i8, {}, {trace.zero_experts});
  if (fits_8_bits(trace))
    add_array(zip, contents, "ids", NpyType::u1, shape, choices_of_8_bits(trace));
  else
    add_array(zip, contents, "ids", NpyType::u2, shape, trace.ids);
  if (!trace.gate.empty()) add_array(zip, contents, "gate", NpyType::f4, shape, trace.gate);
  for (const auto& column : columns(trace))
    if (!column.values->empty()) add_array(zip, contents, column.name, NpyType::i4, {trace.tokens}, *column.values);
}

}  // namespace

void write_npz_trace(const RoutingTrace& trace, const std::string& path) {
  CHECK(check_trace(trace).empty());
  int error = 0;
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &error);
  Contents contents;
  bool written = false;
  if (zip) {
    try {
      add_trace(zip, contents, trace);
      written = zip_close(zip) == 0;  // writes beside the path, then renames
    } catch (const CannotWrite&) {
    }
    if (!written) zip_discard(zip);
  }
  if (!written) throw ConfigError(path, "cannot be written");
}

}  // namespace moesim
