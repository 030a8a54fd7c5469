#include "traces/hdf5_attributes.h"

#include <algorithm>
#include <string>

#include "traces/hdf5_file.h"

namespace moesim {
namespace {

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

}  // namespace

void write_attributes(hid_t file, const RoutingTrace& about) {
  write_integer(file, "format_version", kTraceFormatVersion);
  write_integer(file, "experts", about.experts);
  write_integer(file, "top_k", about.top_k);
  write_integer(file, "zero_experts", about.zero_experts);
  write_text(file, "model", about.model);
  write_text(file, "source", about.source);
  write_text(file, "recorded", about.recorded);
  write_integers(file, "layer_numbers", about.layer_numbers);
  if (!about.domains.empty()) write_texts(file, "domains", about.domains, true);
}

}  // namespace moesim
