// Messages between endpoints, and what a network asks of the wiring in order to carry them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/net/link.h"

namespace moesim {

enum class EndpointId : int32_t {};  // where messages start and end: a vertex of whatever the network is wired of

struct Message {
  EndpointId from{};
  EndpointId to{};
  Bytes bytes;
  uint64_t key = 0;  // what switches hash: equal keys between the same ends take the same path
};

// Called when the last byte of a message has arrived. The tag is what the message was sent with.
using MessageDone = FlowDone;

// Whoever knows the wiring. An interface, since the layers that know it come after this one. Paths stay valid for the
// life of the finder; a path is empty where both ends are one.
class PathFinder {
 public:
  virtual ~PathFinder() = default;

  // The path that switches choose by hash.
  virtual Path by_hash(EndpointId from, EndpointId to, uint64_t key) = 0;

  // All paths among which they choose, in an order that depends on the wiring alone; at least one.
  virtual std::span<const Path> choices(EndpointId from, EndpointId to) = 0;

  // A path by hash that joins the ends of the blocked one and crosses no failed link; none where they are cut off.
  virtual std::optional<Path> detour(Path blocked, uint64_t key, const std::vector<bool>& failed) = 0;
};

}  // namespace moesim
