// How a child process hands a trace to its parent: frames of a kind, a length and bytes, through a pipe. So plain that
// the parent, which cannot trust a child that has read a hostile file, can check all of it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/config/error.h"
#include "traces/trace_head.h"

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
  layout,            // int64: gate, ids_bytes and chunk_tokens of TraceHead, and a bit for each column it has
  done,              // nothing, the end of a reply; without it the child came to grief
};

void send_frame(int fd, FrameKind kind, std::span<const std::byte> payload);
void send_text(int fd, FrameKind kind, std::string_view text);
template <class T>
void send_values(int fd, FrameKind kind, std::span<const T> values) {
  send_frame(fd, kind, std::as_bytes(values));
}
void send_head(int fd, const TraceHead& head);
void send_faults(int fd, const std::vector<Fault>& faults);

// What the parent asks for: those tokens, and which of the arrays.
struct BlockRequest {
  int64_t first = 0;
  int64_t count = 0;
  TraceParts parts;
};
bool receive_request(int fd, BlockRequest& request);  // false when there is none left

struct ReceivedTrace {
  TraceHead head;  // of a reply that has one
  RoutingTrace trace;
  std::vector<Fault> faults;
  bool done = false;  // false where the child ended early, or what came is no sequence of frames
};

// Reads one reply, of at most that many tokens and choices.
ReceivedTrace receive_reply(int fd, int64_t tokens_max, int64_t choices_max);

}  // namespace moesim
