#include "traces/trace_server.h"

#include <fmt/core.h>

#include <new>

#include "traces/hdf5_contents.h"
#include "traces/stored_choices.h"
#include "traces/trace_frames.h"

namespace moesim {
namespace {

struct OpenTrace {
  Hdf5Handle file;
  TraceHead head;
  Dataset ids;
  std::optional<Dataset> gate;
  std::array<std::optional<Dataset>, kTraceColumns> columns;
};

void read_counts(hid_t file, const Dataset& ids, RoutingTrace& about) {
  about.tokens = int64_t(ids.shape[0]);
  about.layers = int64_t(ids.shape[1]);
  about.top_k = int64_t(ids.shape[2]);
  const std::optional<int64_t> experts = integer_of(file, "experts");
  if (!experts) refuse("experts", "attribute is missing");
  about.experts = *experts;
  about.zero_experts = integer_of(file, "zero_experts").value_or(0);
  const int64_t top_k = integer_of(file, "top_k").value_or(about.top_k);
  if (top_k != about.top_k)
    refuse("top_k", fmt::format("attribute is {}, but /ids has {} choices a token", top_k, about.top_k));
  for (const hsize_t extent : ids.shape)
    if (extent == 0 || extent > hsize_t(kStreamedTokensMax)) refuse("/ids", fmt::format("has an extent of {}", extent));
  const std::vector<Fault> faults = check_streamed_shape(about);
  if (!faults.empty()) throw ConfigError("", faults);
}

void read_texts(hid_t file, RoutingTrace& about) {
  about.model = text_of(file, "model");
  about.source = text_of(file, "source");
  about.recorded = text_of(file, "recorded");
  about.domains = texts_of(file, "domains");
  for (const int64_t number : integers_of(file, "layer_numbers")) {
    if (number != int32_t(number)) refuse("layer_numbers", "attribute holds a number that does not fit in 32 bits");
    about.layer_numbers.push_back(int32_t(number));
  }
}

OpenTrace open_file(const std::string& path) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // else HDF5 prints every error by itself
  OpenTrace open;
  open.file = {H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose};
  if (!open.file) refuse("", "cannot be opened as HDF5" + hdf5_reason());
  forbid_opening_files();  // a file can name others to be read in its place, and filters to be loaded

  const hid_t file = open.file.id();
  check_version(file);
  std::optional<Dataset> ids = open_dataset(file, "ids", H5T_INTEGER, 3);
  if (!ids) refuse("/ids", "dataset is missing");
  open.ids = std::move(*ids);
  read_counts(file, open.ids, open.head.about);
  read_texts(file, open.head.about);
  // In a signed type of 8 bits a choice may be missing, which 8 unsigned bits cannot say beside 256 experts.
  const bool all_bytes = H5Tget_size(open.ids.type.id()) == 1 && H5Tget_sign(open.ids.type.id()) == H5T_SGN_NONE;
  open.head.ids_bytes = open.head.about.experts < 256 || (open.head.about.experts == 256 && all_bytes) ? 1 : 2;
  open.head.chunk_tokens = int64_t(std::min(chunk_rows(open.ids), open.ids.shape[0]));

  open.gate = open_dataset(file, "gate", H5T_FLOAT, 3);
  if (open.gate && open.gate->shape != open.ids.shape) refuse(open.gate->place, "must have the shape of /ids");
  if (open.gate) open.head.gate = H5Tget_size(open.gate->type.id()) == 2 ? GateWidth::half : GateWidth::single;
  for (size_t column = 0; column < kTraceColumns; ++column) {
    std::optional<Dataset>& from = open.columns[column];
    from = open_dataset(file, columns(open.head.about)[column].name, H5T_INTEGER, 1);
    if (from && from->shape[0] != open.ids.shape[0])
      refuse(from->place, fmt::format("has {} values, but /ids has {} tokens", from->shape[0], open.ids.shape[0]));
    open.head.has[column] = from.has_value();
  }
  return open;
}

// The common widths without a detour over 64 bits, which costs HDF5 more than to inflate.
void send_ids(const OpenTrace& open, const BlockRequest& asked, int fd) {
  const hid_t type = open.ids.type.id();
  const bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
  const int64_t marker = dropped_marker(is_signed, H5Tget_size(type), open.head.about.experts);
  const hsize_t first = hsize_t(asked.first);
  const hsize_t count = hsize_t(asked.count);
  std::vector<uint16_t> ids;
  if (!is_signed && H5Tget_size(type) == 1)
    return read_rows<uint8_t>(open.ids, H5T_NATIVE_UINT8, first, count, [&](std::span<const uint8_t> values) {
      ids.resize(values.size());
      for (size_t i = 0; i < values.size(); ++i) ids[i] = values[i] == marker ? kDropped : values[i];
      send_values(fd, FrameKind::ids, std::span<const uint16_t>(ids));
    });
  if (!is_signed && H5Tget_size(type) == 2)
    return read_rows<uint16_t>(open.ids, H5T_NATIVE_UINT16, first, count,
                               [&](std::span<const uint16_t> values) { send_values(fd, FrameKind::ids, values); });
  read_rows<int64_t>(open.ids, H5T_NATIVE_INT64, first, count, [&](std::span<const int64_t> values) {
    ids.clear();
    if (const auto bad = append_choices(values, marker, ids)) refuse("/ids", fmt::format("{} is no expert", *bad));
    send_values(fd, FrameKind::ids, std::span<const uint16_t>(ids));
  });
}

void send_column(const Dataset& from, const BlockRequest& asked, FrameKind kind, int fd) {
  const auto send = [&](std::span<const int32_t> values) { send_values(fd, kind, values); };
  const hsize_t first = hsize_t(asked.first);
  const hsize_t count = hsize_t(asked.count);
  if (H5Tget_size(from.type.id()) < 4 || (H5Tget_size(from.type.id()) == 4 && H5Tget_sign(from.type.id()) == H5T_SGN_2))
    return read_rows<int32_t>(from, H5T_NATIVE_INT32, first, count, send);
  read_rows<int64_t>(from, H5T_NATIVE_INT64, first, count, [&](std::span<const int64_t> values) {
    std::vector<int32_t> narrow;
    narrow.reserve(values.size());
    for (const int64_t value : values) {
      if (value != int32_t(value)) refuse(from.place, fmt::format("{} does not fit in 32 bits", value));
      narrow.push_back(int32_t(value));
    }
    send(narrow);
  });
}

void send_block(const OpenTrace& open, const BlockRequest& asked, int fd) {
  if (asked.parts.ids) send_ids(open, asked, fd);
  if (asked.parts.gate && open.gate)
    read_rows<float>(*open.gate, H5T_NATIVE_FLOAT, hsize_t(asked.first), hsize_t(asked.count),
                     [&](std::span<const float> values) { send_values(fd, FrameKind::gate, values); });
  for (size_t column = 0; column < kTraceColumns; ++column)
    if (asked.parts.columns[column] && open.columns[column])
      send_column(*open.columns[column], asked, FrameKind(size_t(FrameKind::column) + column), fd);
}

}  // namespace

void serve_trace(const std::string& path, const ChildLimits& limits, int requests, int replies) {
  try {
    const OpenTrace open = open_file(path);
    send_head(replies, open.head);
    send_text(replies, FrameKind::done, "");
    BlockRequest asked;
    while (receive_request(requests, asked)) {
      send_block(open, asked, replies);
      send_text(replies, FrameKind::done, "");
    }
    return;
  } catch (const ConfigError& error) {
    send_faults(replies, error.faults());
  } catch (const std::bad_alloc&) {
    send_faults(replies, {{0, "", fmt::format("needs more than {} MiB to be read", limits.memory.count >> 20)}});
  }
  send_text(replies, FrameKind::done, "");
}

}  // namespace moesim
