// What the packet network reports of the queue of each link.
#pragma once

#include <cstdint>

#include "sim/core/units.h"

namespace moesim {

// What the queue of a link has done so far.
struct LinkQueueing {
  Bytes queue_max;        // the longest the queue ever was, with the packet that is being sent
  Duration waited;        // behind others in the queue, summed over all packets
  int64_t packets = 0;    // that entered the queue
  int64_t drops = 0;      // packets lost here: no room, a failed link, or a random loss
  int64_t trims = 0;      // packets that found no room and were cut to their header
  int64_t marks = 0;      // packets that got an ECN mark here
  Bytes retransmitted;    // bytes on the wire of packets that had been sent before
  Bytes carried_in_vain;  // bytes on the wire of packets that were lost further on

  Duration mean_wait() const { return {packets > 0 ? waited.ps / packets : 0}; }
  LinkQueueing& operator+=(const LinkQueueing& other);
};

}  // namespace moesim
