#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "sim/core/check.h"
#include "traces/half.h"
#include "traces/hdf5_file.h"
#include "traces/hdf5_handle.h"
#include "traces/stored_choices.h"

namespace moesim {
namespace {

constexpr hsize_t kChunkValues = hsize_t{1} << 18;
constexpr unsigned kGzipLevel = 6;

// Thrown where HDF5 refuses; the writer says which file it was.
struct CannotWrite {};

Hdf5Handle made(hid_t id, herr_t (*close)(hid_t)) {
  if (id < 0) throw CannotWrite{};
  return {id, close};
}

void must(herr_t status) {
  if (status < 0) throw CannotWrite{};
}

void write_attribute(hid_t file, const char* name, hid_t file_type, hid_t memory_type, hid_t space,
                     const void* values) {
  const Hdf5Handle attribute = made(H5Acreate2(file, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  must(H5Awrite(attribute.id(), memory_type, values));
}

void write_integer(hid_t file, const char* name, int64_t value) {
  const Hdf5Handle space = made(H5Screate(H5S_SCALAR), H5Sclose);
  write_attribute(file, name, H5T_STD_I64LE, H5T_NATIVE_INT64, space.id(), &value);
}

void write_integers(hid_t file, const char* name, const std::vector<int32_t>& values) {
  if (values.empty()) return;
  const hsize_t count = values.size();
  const Hdf5Handle space = made(H5Screate_simple(1, &count, nullptr), H5Sclose);
  write_attribute(file, name, H5T_STD_I32LE, H5T_NATIVE_INT32, space.id(), values.data());
}

// Texts of one fixed length, padded by zeros, in UTF-8; a single one is a scalar unless it is a list.
void write_texts(hid_t file, const char* name, const std::vector<std::string>& texts, bool is_list) {
  size_t size = 1;
  for (const std::string& text : texts) size = std::max(size, text.size());
  std::vector<char> padded(size * texts.size(), '\0');
  for (size_t i = 0; i < texts.size(); ++i)
    std::copy(texts[i].begin(), texts[i].end(), padded.begin() + ptrdiff_t(i * size));
  const Hdf5Handle type = made(H5Tcopy(H5T_C_S1), H5Tclose);
  must(H5Tset_size(type.id(), size));
  must(H5Tset_strpad(type.id(), H5T_STR_NULLPAD));
  must(H5Tset_cset(type.id(), H5T_CSET_UTF8));
  const hsize_t count = texts.size();
  const Hdf5Handle space = made(is_list ? H5Screate_simple(1, &count, nullptr) : H5Screate(H5S_SCALAR), H5Sclose);
  write_attribute(file, name, type.id(), type.id(), space.id(), padded.data());
}

void write_text(hid_t file, const char* name, const std::string& text) {
  if (!text.empty()) write_texts(file, name, {text}, false);
}

void write_dataset(hid_t file, const char* name, const std::vector<hsize_t>& shape, hid_t file_type, hid_t memory_type,
                   const void* values) {
  const int dimensions = int(shape.size());
  hsize_t row = 1;
  for (size_t d = 1; d < shape.size(); ++d) row *= shape[d];
  std::vector<hsize_t> chunk = shape;
  chunk[0] = std::clamp<hsize_t>(kChunkValues / row, 1, shape[0]);
  const Hdf5Handle space = made(H5Screate_simple(dimensions, shape.data(), nullptr), H5Sclose);
  const Hdf5Handle how = made(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  must(H5Pset_chunk(how.id(), dimensions, chunk.data()));
  if (H5Tget_size(file_type) > 1) must(H5Pset_shuffle(how.id()));  // bytes of one weight together compress better
  must(H5Pset_deflate(how.id(), kGzipLevel));
  must(H5Pset_obj_track_times(how.id(), false));
  const Hdf5Handle dataset =
      made(H5Dcreate2(file, name, file_type, space.id(), H5P_DEFAULT, how.id(), H5P_DEFAULT), H5Dclose);
  must(H5Dwrite(dataset.id(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values));
}

// The type that numpy calls float16.
Hdf5Handle half_type() {
  Hdf5Handle type = made(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  must(H5Tset_fields(type.id(), 15, 10, 5, 0, 10));
  must(H5Tset_size(type.id(), 2));
  must(H5Tset_ebias(type.id(), 15));
  return type;
}

void write_gate(hid_t file, const RoutingTrace& trace, const std::vector<hsize_t>& shape) {
  if (trace.gate.empty()) return;
  const bool halves = std::all_of(trace.gate.begin(), trace.gate.end(),
                                  [](float weight) { return float_of_half(half_of_float(weight)) == weight; });
  if (!halves) return write_dataset(file, "gate", shape, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, trace.gate.data());
  std::vector<uint16_t> stored(trace.gate.size());
  std::transform(trace.gate.begin(), trace.gate.end(), stored.begin(), half_of_float);
  const Hdf5Handle type = half_type();
  write_dataset(file, "gate", shape, type.id(), type.id(), stored.data());
}

void write_ids(hid_t file, const RoutingTrace& trace, const std::vector<hsize_t>& shape) {
  if (!fits_8_bits(trace)) return write_dataset(file, "ids", shape, H5T_STD_U16LE, H5T_NATIVE_UINT16, trace.ids.data());
  write_dataset(file, "ids", shape, H5T_STD_U8LE, H5T_NATIVE_UINT8, choices_of_8_bits(trace).data());
}

void write_file(const RoutingTrace& trace, const std::string& path) {
  const Hdf5Handle how = made(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  must(H5Pset_obj_track_times(how.id(), false));
  Hdf5Handle file = made(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, how.id(), H5P_DEFAULT), H5Fclose);

  write_integer(file.id(), "format_version", kTraceFormatVersion);
  write_integer(file.id(), "experts", trace.experts);
  write_integer(file.id(), "top_k", trace.top_k);
  write_integer(file.id(), "zero_experts", trace.zero_experts);
  write_text(file.id(), "model", trace.model);
  write_text(file.id(), "source", trace.source);
  write_text(file.id(), "recorded", trace.recorded);
  write_integers(file.id(), "layer_numbers", trace.layer_numbers);
  if (!trace.domains.empty()) write_texts(file.id(), "domains", trace.domains, true);

  const std::vector<hsize_t> shape{hsize_t(trace.tokens), hsize_t(trace.layers), hsize_t(trace.top_k)};
  write_ids(file.id(), trace, shape);
  write_gate(file.id(), trace, shape);
  for (const auto& column : columns(trace))
    if (!column.values->empty())
      write_dataset(file.id(), column.name, {shape[0]}, H5T_STD_I32LE, H5T_NATIVE_INT32, column.values->data());
  must(H5Fflush(file.id(), H5F_SCOPE_GLOBAL));  // closing reports no full disk
}

}  // namespace

void write_hdf5_trace(const RoutingTrace& trace, const std::string& path) {
  CHECK(check_trace(trace).empty());
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const std::string partial = fmt::format("{}.partial-{}", path, getpid());
  try {
    write_file(trace, partial);
  } catch (const CannotWrite&) {
    std::remove(partial.c_str());
    throw ConfigError(path, "cannot be written");
  }
  if (std::rename(partial.c_str(), path.c_str()) == 0) return;
  std::remove(partial.c_str());
  throw ConfigError(path, "cannot be written");
}

}  // namespace moesim
