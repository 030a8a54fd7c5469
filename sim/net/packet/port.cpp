#include "sim/net/packet/port.h"

#include <cmath>

namespace moesim {

LinkQueueing& LinkQueueing::operator+=(const LinkQueueing& other) {
  queue_max = std::max(queue_max, other.queue_max);
  waited += other.waited;
  packets += other.packets;
  drops += other.drops;
  trims += other.trims;
  marks += other.marks;
  retransmitted += other.retransmitted;
  carried_in_vain += other.carried_in_vain;
  return *this;
}

Port::Port(const Link& link, Bytes mtu)
    : capacity_(link.capacity),
      capacity_max_(link.capacity),
      mtu_time_(transfer_time(mtu, link.capacity)),
      latency_(link.latency) {
  CHECK(std::isfinite(link.capacity.bytes_per_s));
  CHECK(link.latency >= Duration{});
}

void Port::set_capacity(Rate capacity, Time now, Bytes mtu, std::vector<Packet>& lost) {
  CHECK(capacity >= Rate{});
  CHECK(std::isfinite(capacity.bytes_per_s));
  queue(now);
  if (capacity == Rate{}) return fail(now, lost);
  const double slower = capacity_.bytes_per_s / capacity.bytes_per_s;
  capacity_ = capacity;
  capacity_max_ = std::max(capacity_max_, capacity);
  mtu_time_ = transfer_time(mtu, capacity);
  const Time was_free_at = free_at_;
  for (uint32_t place = left_; place != ring_.tail(); ++place) {
    Packet& packet = ring_[place];
    const Duration left = place == left_ ? Duration{int64_t(std::ceil(double((packet.departs - now).ps) * slower))}
                                         : time_of(packet.bytes);
    free_at_ = packet.departs = (place == left_ ? now : free_at_) + left;
  }
  busy_ += free_at_ - was_free_at;
}

void Port::fail(Time now, std::vector<Packet>& lost) {
  for (uint32_t place = left_; place != ring_.tail(); ++place) {
    entered_ -= ring_[place].bytes;
    if (ring_[place].losses > 0) did.retransmitted.count -= ring_[place].bytes;
    lost.push_back(ring_[place]);
  }
  if (left_ != ring_.tail()) {
    busy_ += now - free_at_;
    free_at_ = now;
  }
  ring_.cut(left_);
  queued_ = 0;
  capacity_ = {};
}

LinkUse Port::use(Time now) const {
  int64_t queued = queued_;
  for (uint32_t place = left_; place != ring_.tail() && ring_[place].departs <= now; ++place)
    queued -= ring_[place].bytes;
  const int64_t left = entered_ - queued;
  Duration busy = busy_;
  if (free_at_ > now) busy += now - free_at_;
  CHECK(double(left) <= capacity_max_.bytes_per_s * busy.seconds() * (1 + 1e-9) + 1);
  return {{left - did.carried_in_vain.count}, busy};
}

}  // namespace moesim
