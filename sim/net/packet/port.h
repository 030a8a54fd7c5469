// The output port at the head of a directed link: a queue in which packets leave in the order in which they came, and
// what became of them. Knows no simulator; times are told.
//
// When a packet enters, everything ahead of it is known, so that the instant at which its last bit leaves is known too
// and no event is needed for it. A packet stays in the ring until it has reached the far end of the link: those up to
// `left_` have left the port and are on the wire, the others make up the queue.
#pragma once

#include <algorithm>
#include <limits>

#include "sim/core/check.h"
#include "sim/net/packet/packet.h"
#include "sim/net/packet/queueing.h"

namespace moesim {

// What is the same for all ports.
struct PortRules {
  Bytes mtu;
  Bytes buffer;
  Bytes mark_from;  // no packet is marked that finds a shorter queue
  Bytes mark_all;   // every packet is marked that finds one of this length
  double mark_probability_max = 0;
};

class Port {
 public:
  static constexpr Time kNever{std::numeric_limits<int64_t>::max()};

  Port(const Link& link, Bytes mtu);

  bool has_failed() const { return capacity_ == Rate{}; }
  Duration latency() const { return latency_; }
  Duration mtu_time() const { return mtu_time_; }
  Time free_at() const { return free_at_; }  // when all that is queued has left

  // The bytes that a packet which comes now finds in the queue.
  int64_t queue(Time now) {
    while (left_ != ring_.tail() && ring_[left_].departs <= now) queued_ -= ring_[left_++].bytes;
    return queued_;
  }

  // Takes the packet, for which there must be room.
  void push(Packet packet, Time now, const PortRules& rules) {
    const Time begins = std::max(now, free_at_);
    const Duration sending = packet.bytes == rules.mtu.count ? mtu_time_ : time_of(packet.bytes);
    free_at_ = packet.departs = begins + sending;
    busy_ += sending;
    entered_ += packet.bytes;
    queued_ += packet.bytes;
    CHECK(queued_ <= rules.buffer.count);
    did.queue_max.count = std::max(did.queue_max.count, queued_);
    did.waited.ps += (begins - now).ps;
    ++did.packets;
    if (packet.losses > 0) did.retransmitted.count += packet.bytes;
    ring_.push(packet);
  }

  // When the next packet reaches the far end; kNever if there is none.
  Time next_arrival() const { return ring_.empty() ? kNever : ring_[ring_.head()].departs + latency_; }

  // The packet that reaches the far end now.
  Packet pop(Time now) {
    queue(now);
    CHECK(left_ != ring_.head());  // it has left
    return ring_.pop();
  }

  // The packet that reaches it next; none if there is none.
  const Packet* next() const { return ring_.empty() ? nullptr : &ring_[ring_.head()]; }

  // Packets that are queued leave at the new rate from now on, also what is left of the one that is being sent. At a
  // rate of zero the link has failed: the packets that have not left are lost, and appended to `lost`.
  void set_capacity(Rate capacity, Time now, Bytes mtu, std::vector<Packet>& lost);

  // Payload counts here when it has left, and no longer once it is lost further on. Busy is while bits are sent.
  // CHECKs that this is no more than the capacity allows.
  LinkUse use(Time now) const;

  LinkQueueing did;  // what the port does not see itself (losses, marks) is added by whoever sees it
  // Of the engine: the event that counts, and the flows that wait to send over this link, in turn.
  Time arrival_posted = kNever;
  Time feed_posted = kNever;
  uint32_t first_waiting = UINT32_MAX;
  uint32_t last_waiting = UINT32_MAX;

 private:
  Duration time_of(int64_t bytes) const { return transfer_time(Bytes{bytes}, capacity_); }
  void fail(Time now, std::vector<Packet>& lost);

  Rate capacity_;      // 0: failed
  Rate capacity_max_;  // that it ever had
  Duration mtu_time_;
  Duration latency_;
  Time free_at_;
  PacketRing ring_;
  uint32_t left_ = 0;    // place of the first packet of the ring whose last bit has not left
  int64_t queued_ = 0;   // bytes from there on
  int64_t entered_ = 0;  // bytes, without those of packets that were lost while they were queued here
  Duration busy_;        // until free_at_
};

}  // namespace moesim
