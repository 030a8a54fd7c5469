// Lower bounds of the time that a task graph takes, whatever the order of events: no run may be shorter, and the
// largest of them says what the run is bound by.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/net/message_network.h"
#include "sim/work/task_graph.h"

namespace moesim {

struct WorkBounds {
  Duration critical_path;         // the longest chain of work and of flows that have the network to themselves
  std::vector<Duration> streams;  // work on each stream, one task after another
  std::vector<Duration> pools;    // units x length over the pool's units
  std::vector<Duration> links;    // bytes over capacity
};

// `carried` is what each link had to carry of this graph; `pools` are the units of each pool. O(tasks + dependencies +
// links + flows x path length).
WorkBounds work_bounds(const TaskGraph& graph, MessageNetwork& network, std::span<const Bytes> carried, size_t streams,
                       std::span<const int32_t> pools);

}  // namespace moesim
