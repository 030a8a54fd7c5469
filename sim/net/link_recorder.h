// How much each link carried when: a fixed number of equal buckets of time a link, whose width doubles when time
// outgrows them, so that memory does not grow with the length of a run. It only listens: no result depends on it.
#pragma once

#include <vector>

#include "sim/net/flow_table.h"
#include "sim/net/link.h"

namespace moesim {

class LinkRecorder {
 public:
  static constexpr size_t kBuckets = 128;

  explicit LinkRecorder(size_t links) : bytes_(links) {}

  // A flow begins to use its path, and ends: its bytes are spread evenly over the time between.
  void enter(FlowId flow, Time now);
  void leave(FlowId flow, Path path, Bytes bytes, Time now);

  // Bytes that one link carried from begin to end, for a network that knows it more exactly.
  void add(LinkId link, Bytes bytes, Time begin, Time end);

  Duration width() const { return width_; }
  size_t links() const { return bytes_.size(); }

  // Of each bucket, from time 0; empty for a link that carried nothing.
  const std::vector<double>& bytes(LinkId link) const { return bytes_[index(link)]; }

 private:
  void make_room_for(Time time);

  Duration width_ = 1_ns;
  std::vector<std::vector<double>> bytes_;  // [link][bucket]
  std::vector<Time> entered_;               // [slot of the flow]
};

}  // namespace moesim
