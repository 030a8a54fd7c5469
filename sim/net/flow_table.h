// The flows in flight: slots that are reused, so that memory grows with what is in flight and not with what has been.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/core/simulator.h"
#include "sim/net/link.h"

namespace moesim {

enum class FlowId : uint32_t {};  // a slot of the table; another flow may have it once the flow is done

struct Flow {
  Bytes bytes;
  uint64_t tag = 0;
  uint64_t sequence = 0;  // the how-manieth flow it is; orders what ends at one instant
};

class FlowTable {
 public:
  // Copies the path.
  FlowId insert(Path path, Bytes bytes, uint64_t tag);
  Flow erase(FlowId flow);
  const Flow& operator[](FlowId flow) const { return slots_[index(flow)]; }

  // Valid until the next insert() or set_path().
  Path path(FlowId flow) const;
  void set_path(FlowId flow, Path path);
  size_t live() const { return live_; }

  // The flows in flight, in order of slot. O(slots).
  std::vector<FlowId> flows() const;

 private:
  static constexpr LinkId kNoLink{-1};  // pads short paths
  static constexpr Bytes kFree{-1};     // what a free slot carries; its tag is the next free one
  static constexpr uint64_t kNone = UINT64_MAX;

  void lengthen_paths(size_t hops);

  std::vector<Flow> slots_;
  std::vector<LinkId> paths_;  // hops_ links a slot
  size_t hops_ = 0;            // of the longest path so far
  uint64_t free_ = kNone;      // the first of the free slots
  size_t live_ = 0;
  uint64_t started_ = 0;
};

// The time from the start of a flow to its first byte at the far end: the sum of its links' latencies.
Duration path_latency(std::span<const Link> links, Path path);

// Takes the flow out of the table, puts it into the digest and tells its owner.
void finish_flow(FlowTable& flows, FlowId flow, Simulator& sim, const FlowDone& done);

}  // namespace moesim
