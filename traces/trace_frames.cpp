#include "traces/trace_frames.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "sim/core/check.h"

namespace moesim {
namespace {

struct FrameHead {
  FrameKind kind;
  uint32_t bytes;
};

constexpr size_t kFrameBytesMax = size_t{1} << 24;
constexpr size_t kSmallFramesMax = size_t{1} << 16;  // texts and faults

void write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    CHECK(written > 0);  // a parent that has gone away ends the child by SIGPIPE
    bytes = bytes.subspan(size_t(written));
  }
}

// False at the end of the pipe.
bool read_all(int fd, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = read(fd, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes = bytes.subspan(size_t(got));
  }
  return true;
}

template <class T>
bool append_values(std::vector<T>& values, std::span<const std::byte> payload, size_t values_max) {
  const size_t count = payload.size() / sizeof(T);
  if (payload.size() % sizeof(T) != 0 || count > values_max - values.size()) return false;
  values.resize(values.size() + count);
  if (count > 0) std::memcpy(values.data() + values.size() - count, payload.data(), payload.size());
  return true;
}

bool set_layout(TraceHead& head, std::span<const std::byte> payload) {
  std::array<int64_t, 4> layout;
  if (payload.size() != sizeof layout) return false;
  std::memcpy(layout.data(), payload.data(), sizeof layout);
  if (layout[0] < 0 || layout[0] > int64_t(GateWidth::single) || layout[1] < 1 || layout[1] > 2 || layout[2] < 1)
    return false;
  head.gate = GateWidth(layout[0]);
  head.ids_bytes = layout[1];
  head.chunk_tokens = layout[2];
  for (size_t column = 0; column < kTraceColumns; ++column) head.has[column] = (layout[3] >> column & 1) != 0;
  return true;
}

bool set_shape(RoutingTrace& trace, std::span<const std::byte> payload) {
  std::array<int64_t, 5> shape;
  if (payload.size() != sizeof shape) return false;
  std::memcpy(shape.data(), payload.data(), sizeof shape);
  trace.tokens = shape[0];
  trace.layers = shape[1];
  trace.top_k = shape[2];
  trace.experts = shape[3];
  trace.zero_experts = shape[4];
  return true;
}

// False for a frame that no honest child sends.
bool accept_frame(ReceivedTrace& received, FrameKind kind, std::span<const std::byte> payload, int64_t tokens_max,
                  int64_t choices_max) {
  RoutingTrace& trace = received.trace;
  RoutingTrace& about = received.head.about;
  const auto text = [&] { return std::string(reinterpret_cast<const char*>(payload.data()), payload.size()); };
  switch (kind) {
    case FrameKind::shape:
      return set_shape(about, payload);
    case FrameKind::layout:
      return set_layout(received.head, payload);
    case FrameKind::model:
      about.model = text();
      return true;
    case FrameKind::source:
      about.source = text();
      return true;
    case FrameKind::recorded:
      about.recorded = text();
      return true;
    case FrameKind::domain_name:
      about.domains.push_back(text());
      return about.domains.size() <= kSmallFramesMax;
    case FrameKind::fault_path:
      received.faults.push_back({0, text(), ""});
      return received.faults.size() <= kSmallFramesMax;
    case FrameKind::fault_message:
      if (received.faults.empty()) return false;
      received.faults.back().message = text();
      return true;
    case FrameKind::layer_numbers:
      return append_values(about.layer_numbers, payload, kTraceLayersMax);
    case FrameKind::ids:
      return append_values(trace.ids, payload, size_t(choices_max));
    case FrameKind::gate:
      return append_values(trace.gate, payload, size_t(choices_max));
    case FrameKind::done:
      return received.done = true;
    default:
      break;
  }
  const size_t column = size_t(kind) - size_t(FrameKind::column);
  return column < kTraceColumns && append_values(*columns(trace)[column].values, payload, size_t(tokens_max));
}

}  // namespace

void send_frame(int fd, FrameKind kind, std::span<const std::byte> payload) {
  CHECK(payload.size() <= kFrameBytesMax);
  const FrameHead head{kind, uint32_t(payload.size())};
  write_all(fd, std::as_bytes(std::span(&head, 1)));
  write_all(fd, payload);
}

void send_text(int fd, FrameKind kind, std::string_view text) { send_frame(fd, kind, std::as_bytes(std::span(text))); }

void send_head(int fd, const TraceHead& head) {
  const RoutingTrace& about = head.about;
  const std::array<int64_t, 5> shape{about.tokens, about.layers, about.top_k, about.experts, about.zero_experts};
  send_values(fd, FrameKind::shape, std::span<const int64_t>(shape));
  std::array<int64_t, 4> layout{int64_t(head.gate), head.ids_bytes, head.chunk_tokens, 0};
  for (size_t column = 0; column < kTraceColumns; ++column) layout[3] |= int64_t(head.has[column]) << column;
  send_values(fd, FrameKind::layout, std::span<const int64_t>(layout));
  send_text(fd, FrameKind::model, about.model);
  send_text(fd, FrameKind::source, about.source);
  send_text(fd, FrameKind::recorded, about.recorded);
  for (const std::string& domain : about.domains) send_text(fd, FrameKind::domain_name, domain);
  send_values(fd, FrameKind::layer_numbers, std::span<const int32_t>(about.layer_numbers));
}

void send_faults(int fd, const std::vector<Fault>& faults) {
  for (const Fault& fault : faults) {
    send_text(fd, FrameKind::fault_path, fault.path);
    send_text(fd, FrameKind::fault_message, fault.message);
  }
}

bool receive_request(int fd, BlockRequest& request) {
  return read_all(fd, std::as_writable_bytes(std::span(&request, 1)));
}

ReceivedTrace receive_reply(int fd, int64_t tokens_max, int64_t choices_max) {
  ReceivedTrace received;
  FrameHead head;
  std::vector<std::byte> payload;
  while (!received.done && read_all(fd, std::as_writable_bytes(std::span(&head, 1)))) {
    const bool sound = head.bytes <= kFrameBytesMax;
    payload.resize(sound ? head.bytes : 0);
    if (!sound || !read_all(fd, payload) || !accept_frame(received, head.kind, payload, tokens_max, choices_max)) break;
  }
  return received;
}

}  // namespace moesim
