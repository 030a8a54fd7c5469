#include "traces/hdf5_contents.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "sim/config/error.h"
#include "traces/hdf5_file.h"

namespace moesim {
namespace {

constexpr hsize_t kAttributeValuesMax = 65536;
constexpr size_t kAttributeTextMax = size_t{1} << 20;
constexpr size_t kChunkCacheBytes = size_t{64} << 20;  // holds a chunk while its slabs are read

struct Attribute {
  Hdf5Handle attribute;
  Hdf5Handle type;
  hsize_t values = 0;
};

std::optional<Attribute> open_attribute(hid_t file, const char* name) {
  if (H5Aexists(file, name) <= 0) return {};
  Attribute found{{H5Aopen(file, name, H5P_DEFAULT), H5Aclose}, {}, 0};
  const Hdf5Handle space(found.attribute ? H5Aget_space(found.attribute.id()) : -1, H5Sclose);
  if (found.attribute) found.type = {H5Aget_type(found.attribute.id()), H5Tclose};
  if (!space || !found.type) refuse(name, "attribute cannot be read" + hdf5_reason());
  const hssize_t values = H5Sget_simple_extent_npoints(space.id());
  if (values < 1 || hsize_t(values) > kAttributeValuesMax)
    refuse(name, fmt::format("attribute has {} values, but must have 1 to {}", values, kAttributeValuesMax));
  found.values = hsize_t(values);
  return found;
}

// A dataset may be a link into another file, or keep its data in one. Such files are refused, so that a trace cannot
// make moesim read what its user did not name.
void check_is_in_the_file(hid_t file, const std::string& place) {
  H5L_info_t link;
  if (H5Lget_info(file, place.c_str(), &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
    refuse(place, "is a link; only data in the file itself are read");
  const Hdf5Handle dataset(H5Dopen2(file, place.c_str(), H5P_DEFAULT), H5Dclose);
  const Hdf5Handle how(dataset ? H5Dget_create_plist(dataset.id()) : -1, H5Pclose);
  if (!how) refuse(place, "cannot be opened" + hdf5_reason());
  if (H5Pget_external_count(how.id()) != 0 || H5Pget_layout(how.id()) == H5D_VIRTUAL)
    refuse(place, "lies in another file; only data in the file itself are read");
}

}  // namespace

void refuse(const std::string& place, const std::string& message) { throw ConfigError("", {Fault{0, place, message}}); }

// What HDF5 itself says, of which the innermost words are the plainest: "truncated file: eof = 96, ...".
std::string hdf5_reason() {
  std::string reason;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned depth, const H5E_error2_t* error, void* text) -> herr_t {
        if (depth == 0 && error->desc) *static_cast<std::string*>(text) = error->desc;
        return 0;
      },
      &reason);
  return reason.empty() ? "" : fmt::format(" (HDF5: {})", reason);
}

std::vector<int64_t> integers_of(hid_t file, const char* name) {
  const std::optional<Attribute> found = open_attribute(file, name);
  if (!found) return {};
  if (H5Tget_class(found->type.id()) != H5T_INTEGER) refuse(name, "attribute must hold integers");
  std::vector<int64_t> values(found->values);
  if (H5Aread(found->attribute.id(), H5T_NATIVE_INT64, values.data()) < 0)
    refuse(name, "attribute cannot be read" + hdf5_reason());
  return values;
}

std::optional<int64_t> integer_of(hid_t file, const char* name) {
  const std::vector<int64_t> values = integers_of(file, name);
  if (values.size() > 1) refuse(name, "attribute must be a single integer");
  return values.empty() ? std::nullopt : std::optional(values[0]);
}

std::vector<std::string> texts_of(hid_t file, const char* name) {
  const std::optional<Attribute> found = open_attribute(file, name);
  if (!found) return {};
  const hid_t type = found->type.id();
  if (H5Tget_class(type) != H5T_STRING) refuse(name, "attribute must be text");
  const size_t size = H5Tget_size(type);
  if (size == 0 || size > kAttributeTextMax) refuse(name, "attribute is too long a text");
  std::vector<char> raw(found->values * size);
  if (H5Aread(found->attribute.id(), type, raw.data()) < 0) refuse(name, "attribute cannot be read" + hdf5_reason());

  std::vector<std::string> texts;
  for (size_t i = 0; i < found->values; ++i) {
    const char* text = raw.data() + i * size;
    size_t length_max = size;
    if (H5Tis_variable_str(type) > 0) {  // the value is a pointer then; the child's exit frees what it points at
      text = reinterpret_cast<char* const*>(raw.data())[i];
      length_max = kAttributeTextMax;
    }
    texts.emplace_back(text ? std::string(text, strnlen(text, length_max)) : "");
  }
  return texts;
}

std::string text_of(hid_t file, const char* name) {
  const std::vector<std::string> texts = texts_of(file, name);
  return texts.empty() ? "" : texts[0];
}

std::optional<Dataset> open_dataset(hid_t file, const char* name, H5T_class_t kind, int dimensions) {
  if (H5Lexists(file, name, H5P_DEFAULT) <= 0) return {};
  check_is_in_the_file(file, fmt::format("/{}", name));
  const Hdf5Handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
  H5Pset_chunk_cache(access.id(), 521, kChunkCacheBytes, 1.0);
  Dataset found{fmt::format("/{}", name), {H5Dopen2(file, name, access.id()), H5Dclose}, {}, {}};
  const Hdf5Handle space(found.dataset ? H5Dget_space(found.dataset.id()) : -1, H5Sclose);
  if (found.dataset) found.type = {H5Dget_type(found.dataset.id()), H5Tclose};
  if (!space || !found.type) refuse(found.place, "cannot be opened" + hdf5_reason());

  if (H5Tget_class(found.type.id()) != kind)
    refuse(found.place, kind == H5T_INTEGER ? "must hold integers" : "must hold floating-point numbers");
  if (H5Sget_simple_extent_ndims(space.id()) != dimensions)
    refuse(found.place, fmt::format("must have {} dimension{}, but has {}", dimensions, dimensions == 1 ? "" : "s",
                                    H5Sget_simple_extent_ndims(space.id())));
  found.shape.resize(size_t(dimensions));
  H5Sget_simple_extent_dims(space.id(), found.shape.data(), nullptr);
  return found;
}

void check_version(hid_t file) {
  const std::optional<int64_t> version = integer_of(file, "format_version");
  if (!version) refuse("format_version", "attribute is missing, so this is no routing trace of moesim");
  if (*version != kTraceFormatVersion)
    refuse("format_version", fmt::format("is {}, but this moesim reads version {}", *version, kTraceFormatVersion));
}

void select_rows(hid_t space, const Dataset& from, hsize_t first, hsize_t rows) {
  std::vector<hsize_t> start(from.shape.size(), 0);
  std::vector<hsize_t> count = from.shape;
  start[0] = first;
  count[0] = rows;
  if (H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0)
    refuse(from.place, fmt::format("cannot be read from row {} on{}", first, hdf5_reason()));
}

void read_selected(const Dataset& from, hid_t memory_type, hid_t space, hsize_t first, hsize_t rows, void* values) {
  std::vector<hsize_t> count = from.shape;
  count[0] = rows;
  // In memory the shape of the rows too: HDF5 takes three times as long to pour them into one dimension.
  const Hdf5Handle memory(H5Screate_simple(int(count.size()), count.data(), nullptr), H5Sclose);
  if (H5Dread(from.dataset.id(), memory_type, memory.id(), space, H5P_DEFAULT, values) < 0)
    refuse(from.place, fmt::format("cannot be read from row {} on{}", first, hdf5_reason()));
}

hsize_t chunk_rows(const Dataset& dataset) {
  const Hdf5Handle how(H5Dget_create_plist(dataset.dataset.id()), H5Pclose);
  if (!how || H5Pget_layout(how.id()) != H5D_CHUNKED) return 1;
  std::vector<hsize_t> chunk(dataset.shape.size());
  return H5Pget_chunk(how.id(), int(chunk.size()), chunk.data()) < 0 ? 1 : std::max<hsize_t>(1, chunk[0]);
}

}  // namespace moesim
