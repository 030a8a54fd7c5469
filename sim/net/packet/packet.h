// A packet, and the first-in-first-out ring in which a port keeps its packets.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/net/link.h"

namespace moesim {

// Plain data that is copied from port to port.
struct Packet {
  Time departs;            // when its last bit leaves the port in which it lies
  const LinkId* route;     // the links of its path
  uint32_t flow;           // slot of its flow
  uint32_t number;         // which packet of its flow it is, from 0
  uint32_t order;          // the how-manieth sending of its flow: tells what was sent before it
  uint16_t bytes;          // of payload
  uint16_t hop : 6;        // route[hop] is where it is
  uint16_t hops : 6;       // links of its path
  uint16_t losses : 3;     // how often a packet of this number was sent before and lost, or kLossesMax
  uint16_t is_marked : 1;  // a queue on its way was long (ECN)
};
static_assert(sizeof(Packet) == 32);

inline constexpr size_t kHopsMax = 63;             // what Packet::hops holds
inline constexpr uint32_t kLossesMax = 7;          // what Packet::losses holds
inline constexpr Bytes kMtuMax{int64_t(1) << 15};  // a power of two that Packet::bytes holds

// Places are numbered from the first packet ever pushed on, modulo 2^32. Grows by doubling and never shrinks.
class PacketRing {
 public:
  bool empty() const { return head_ == tail_; }
  uint32_t head() const { return head_; }
  uint32_t tail() const { return tail_; }
  Packet& operator[](uint32_t place) { return slots_[place & mask_]; }
  const Packet& operator[](uint32_t place) const { return slots_[place & mask_]; }

  void push(const Packet& packet) {
    if (tail_ - head_ == slots_.size()) grow();
    slots_[tail_++ & mask_] = packet;
  }
  Packet pop() { return slots_[head_++ & mask_]; }
  void cut(uint32_t tail) { tail_ = tail; }  // forgets the packets from that place on

 private:
  void grow() {
    std::vector<Packet> larger(slots_.empty() ? 8 : 2 * slots_.size());
    const auto mask = uint32_t(larger.size() - 1);
    for (uint32_t place = head_; place != tail_; ++place) larger[place & mask] = slots_[place & mask_];
    slots_.swap(larger);
    mask_ = mask;
  }

  std::vector<Packet> slots_;  // a power of two of them
  uint32_t mask_ = 0;
  uint32_t head_ = 0;
  uint32_t tail_ = 0;
};

}  // namespace moesim
