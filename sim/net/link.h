// A directed link, and what a flow crosses.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "sim/core/units.h"

namespace moesim {

enum class LinkId : int32_t {};

struct Link {
  Rate capacity;
  Duration latency;
};

// From a time on the link carries that much; nothing where it has failed.
struct LinkChange {
  Time at;
  LinkId link{};
  Rate capacity;
};

// The links that a flow crosses, in order. A network copies what it is given.
using Path = std::span<const LinkId>;

// Finds another path for a flow whose path crosses a failed link, by a number of the flow's own; none where there is
// none. What it answers stays valid as long as the network.
using Detour = std::function<std::optional<Path>(Path blocked, uint64_t key)>;

// Called when the last byte of a flow has arrived. The tag is what the flow was started with.
struct FlowDone {
  void (*call)(void* object, uint64_t tag) = nullptr;
  void* object = nullptr;
};

// What a link has carried so far.
struct LinkUse {
  Bytes carried;      // payload bytes of all flows that crossed it
  Duration busy;      // time with at least one flow on it
  double flow_s = 0;  // sum over flows of the time that each was on it, in seconds
};

}  // namespace moesim
