#include <fmt/core.h>

#include <algorithm>
#include <new>
#include <optional>

#include "traces/hdf5_file.h"
#include "traces/hdf5_handle.h"
#include "traces/stored_choices.h"
#include "traces/trace_frames.h"

// All but the last function runs in the child process, where a crash costs nothing.

namespace moesim {
namespace {

constexpr hsize_t kSlabValues = hsize_t{1} << 20;  // read and sent at once; 8 MiB of int64
constexpr hsize_t kAttributeValuesMax = 65536;
constexpr size_t kAttributeTextMax = size_t{1} << 20;
constexpr size_t kChunkCacheBytes = size_t{64} << 20;  // holds a chunk while its slabs are read

[[noreturn]] void refuse(const std::string& place, const std::string& message) {
  throw ConfigError("", {Fault{0, place, message}});
}

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

struct Dataset {
  std::string place;
  Hdf5Handle dataset;
  Hdf5Handle type;
  std::vector<hsize_t> shape;
};

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

// Reads whole rows of the first dimension, as many at a time as a slab holds, and hands each slab on.
template <class T, class Use>
void read_slabs(const Dataset& from, hid_t memory_type, Use use) {
  hsize_t row = 1;
  for (size_t d = 1; d < from.shape.size(); ++d) row *= from.shape[d];
  const hsize_t rows_max = std::max<hsize_t>(1, kSlabValues / row);
  const Hdf5Handle space(H5Dget_space(from.dataset.id()), H5Sclose);
  std::vector<T> slab;
  for (hsize_t first = 0; first < from.shape[0]; first += rows_max) {
    std::vector<hsize_t> start(from.shape.size(), 0);
    std::vector<hsize_t> count = from.shape;
    start[0] = first;
    count[0] = std::min(rows_max, from.shape[0] - first);
    slab.resize(count[0] * row);
    // In memory the shape of the rows too: HDF5 takes three times as long to pour them into one dimension.
    const Hdf5Handle memory(H5Screate_simple(int(count.size()), count.data(), nullptr), H5Sclose);
    if (H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0 ||
        H5Dread(from.dataset.id(), memory_type, memory.id(), space.id(), H5P_DEFAULT, slab.data()) < 0)
      refuse(from.place, fmt::format("cannot be read from row {} on{}", first, hdf5_reason()));
    use(std::span<const T>(slab));
  }
}

void check_version(hid_t file) {
  const std::optional<int64_t> version = integer_of(file, "format_version");
  if (!version) refuse("format_version", "attribute is missing, so this is no routing trace of moesim");
  if (*version != kTraceFormatVersion)
    refuse("format_version", fmt::format("is {}, but this moesim reads version {}", *version, kTraceFormatVersion));
}

RoutingTrace read_shape(hid_t file, const Dataset& ids) {
  RoutingTrace trace;
  trace.tokens = int64_t(ids.shape[0]);
  trace.layers = int64_t(ids.shape[1]);
  trace.top_k = int64_t(ids.shape[2]);
  const std::optional<int64_t> experts = integer_of(file, "experts");
  if (!experts) refuse("experts", "attribute is missing");
  trace.experts = *experts;
  trace.zero_experts = integer_of(file, "zero_experts").value_or(0);
  const int64_t top_k = integer_of(file, "top_k").value_or(trace.top_k);
  if (top_k != trace.top_k)
    refuse("top_k", fmt::format("attribute is {}, but /ids has {} choices a token", top_k, trace.top_k));
  // What a trace may hold, before anything of that size is read.
  for (const hsize_t extent : ids.shape)
    if (extent == 0 || extent > hsize_t(kTraceTokensMax)) refuse("/ids", fmt::format("has an extent of {}", extent));
  const std::vector<Fault> faults = check_shape(trace);
  if (!faults.empty()) throw ConfigError("", faults);
  return trace;
}

void send_attributes(hid_t file, int fd) {
  send_text(fd, FrameKind::model, text_of(file, "model"));
  send_text(fd, FrameKind::source, text_of(file, "source"));
  send_text(fd, FrameKind::recorded, text_of(file, "recorded"));
  for (const std::string& domain : texts_of(file, "domains")) send_text(fd, FrameKind::domain_name, domain);
  const std::vector<int64_t> numbers = integers_of(file, "layer_numbers");
  if (std::any_of(numbers.begin(), numbers.end(), [](int64_t number) { return number != int32_t(number); }))
    refuse("layer_numbers", "attribute holds a number that does not fit in 32 bits");
  const std::vector<int32_t> narrow(numbers.begin(), numbers.end());
  send_values(fd, FrameKind::layer_numbers, std::span(narrow));
}

void send_ids(const Dataset& from, int64_t experts, int fd) {
  const hid_t type = from.type.id();
  const int64_t marker = dropped_marker(H5Tget_sign(type) == H5T_SGN_2, H5Tget_size(type), experts);
  read_slabs<int64_t>(from, H5T_NATIVE_INT64, [&](std::span<const int64_t> values) {
    std::vector<uint16_t> ids;
    ids.reserve(values.size());
    if (const auto bad = append_choices(values, marker, ids)) refuse("/ids", fmt::format("{} is no expert", *bad));
    send_values(fd, FrameKind::ids, std::span<const uint16_t>(ids));
  });
}

void send_gate(hid_t file, const Dataset& ids, int fd) {
  const std::optional<Dataset> from = open_dataset(file, "gate", H5T_FLOAT, 3);
  if (!from) return;
  if (from->shape != ids.shape) refuse(from->place, "must have the shape of /ids");
  read_slabs<float>(*from, H5T_NATIVE_FLOAT,
                    [&](std::span<const float> values) { send_values(fd, FrameKind::gate, values); });
}

void send_column(hid_t file, const char* name, const Dataset& ids, FrameKind kind, int fd) {
  const std::optional<Dataset> from = open_dataset(file, name, H5T_INTEGER, 1);
  if (!from) return;
  if (from->shape[0] != ids.shape[0])
    refuse(from->place, fmt::format("has {} values, but /ids has {} tokens", from->shape[0], ids.shape[0]));
  read_slabs<int64_t>(*from, H5T_NATIVE_INT64, [&](std::span<const int64_t> values) {
    std::vector<int32_t> narrow;
    narrow.reserve(values.size());
    for (const int64_t value : values) {
      if (value != int32_t(value)) refuse(from->place, fmt::format("{} does not fit in 32 bits", value));
      narrow.push_back(int32_t(value));
    }
    send_values(fd, kind, std::span<const int32_t>(narrow));
  });
}

void send_trace(const std::string& path, int fd) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // else HDF5 prints every error by itself
  const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (!file) refuse("", "cannot be opened as HDF5" + hdf5_reason());
  forbid_opening_files();  // a file can name others to be read in its place, and filters to be loaded

  check_version(file.id());
  const std::optional<Dataset> ids = open_dataset(file.id(), "ids", H5T_INTEGER, 3);
  if (!ids) refuse("/ids", "dataset is missing");
  const RoutingTrace trace = read_shape(file.id(), *ids);
  send_shape(fd, trace);
  send_attributes(file.id(), fd);
  send_ids(*ids, trace.experts, fd);
  send_gate(file.id(), *ids, fd);
  for (size_t column = 0; column < kTraceColumns; ++column)
    send_column(file.id(), columns(trace)[column].name, *ids, FrameKind(size_t(FrameKind::column) + column), fd);
}

void send_trace_or_faults(const std::string& path, const ChildLimits& limits, int fd) {
  try {
    send_trace(path, fd);
  } catch (const ConfigError& error) {
    send_faults(fd, error.faults());
  } catch (const std::bad_alloc&) {
    send_faults(fd, {{0, "", fmt::format("needs more than {} MiB to be read", limits.memory.count >> 20)}});
  }
  send_text(fd, FrameKind::done, "");
}

}  // namespace

RoutingTrace read_hdf5_trace(const std::string& path, const ChildLimits& limits) {
  ReceivedTrace received;
  const std::string end = run_in_child(
      limits, [&](int fd) { send_trace_or_faults(path, limits, fd); }, [&](int fd) { received = receive_trace(fd); });
  if (!received.done)
    throw ConfigError(path, fmt::format("the file is damaged or hostile: the process that read it {}",
                                        end.empty() ? "sent what no trace is" : end));
  if (received.faults.empty()) received.faults = check_trace(received.trace);
  if (!received.faults.empty()) throw ConfigError(path, received.faults);
  return std::move(received.trace);
}

}  // namespace moesim
