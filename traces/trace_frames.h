// How a child process hands a trace to its parent: frames of a kind, a length and bytes, through a pipe. So plain that
// the parent, which cannot trust a child that has read a hostile file, can check all of it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/config/error.h"
#include "traces/routing_trace.h"

namespace moesim {

enum class FrameKind : uint32_t {
  shape,             // tokens, layers, top_k, experts, zero_experts: int64 each
  model,             // text
  source,            // text
  recorded,          // text
  domain_name,       // text, one frame a domain
  layer_numbers,     // int32
  ids,               // uint16, as many frames as it takes; likewise all that follow
  gate,              // float
  column,            // int32: FrameKind(column + i) is columns(trace)[i]
  fault_path = 100,  // text, followed by its fault_message
  fault_message,     // text
  done,              // nothing; without it the child came to grief
};

void send_frame(int fd, FrameKind kind, std::span<const std::byte> payload);
void send_text(int fd, FrameKind kind, std::string_view text);
template <class T>
void send_values(int fd, FrameKind kind, std::span<const T> values) {
  send_frame(fd, kind, std::as_bytes(values));
}
void send_shape(int fd, const RoutingTrace& trace);
void send_faults(int fd, const std::vector<Fault>& faults);

struct ReceivedTrace {
  RoutingTrace trace;
  std::vector<Fault> faults;
  bool done = false;  // false where the child ended early, or what came is no sequence of frames
};

// Reads until the other end is closed.
ReceivedTrace receive_trace(int fd);

}  // namespace moesim
