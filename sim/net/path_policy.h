// Path policies: over which of the equal paths between two ends the bytes of a message travel. Implementations lie in
// sim/net/paths/.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sim/config/registry.h"
#include "sim/net/message.h"

namespace moesim {

// The messages that start at one instant, in the order in which they were sent. Every choice is up: a path over a
// failed link is not offered.
struct PathInput {
  std::span<const Message> messages;
  std::function<std::span<const Path>(const Message&)> choices;  // at least one path, in the order of the wiring
  std::function<Path(const Message&)> by_hash;                   // the one that switches choose
  std::span<const Link> links;
  std::span<const Bytes> pending;  // [link] bytes of messages under way across it that have not all arrived
};

// Bytes of one message that travel over one path or, packet by packet, over several at once. A network without packets
// takes several paths as an equal part for each.
struct PathPart {
  uint32_t message = 0;  // index in PathInput::messages
  Bytes bytes;
  std::vector<Path> paths;
};

// Decides the parts of every message: their bytes sum to the message's, and no part is empty unless the message is.
struct PathPolicy {
  using Input = PathInput;
  using Decision = std::vector<PathPart>;
  static constexpr const char* kind = "path policy";
};

// Piece i of bytes cut into `pieces` as evenly as whole bytes allow; the first get the bytes that are over.
inline Bytes piece(Bytes bytes, int64_t pieces, int64_t i) {
  return {bytes.count / pieces + (i < bytes.count % pieces ? 1 : 0)};
}

}  // namespace moesim
