// The settings of the packet network.
#pragma once

#include <functional>
#include <string>

#include "sim/config/registry.h"
#include "sim/net/packet/transport.h"

namespace moesim {

struct PacketOptions {
  Bytes mtu = 4_KiB;
  Bytes buffer = 1_MiB;
  Bytes mark_from = 128_KiB;
  Bytes mark_all = 512_KiB;
  double mark_probability_max = 0.2;
  Duration retransmission_timeout = 100_us;
  double loss_rate = 0;
  uint64_t seed = 1;
  PolicyChoice<TransportPolicy> transport{"credit"};
};

template <class Visitor>
void fields(Visitor& v, PacketOptions& s) {
  v.optional("mtu", s.mtu, between(Bytes{64}, kMtuMax), "payload of a full packet");
  v.optional("buffer", s.buffer, above(Bytes{0}),
             "of each port, for queued packets and the one being sent; a packet that finds no room is lost");
  v.optional("mark_from", s.mark_from, at_least(Bytes{0}), "ECN: packets that find a shorter queue are not marked");
  v.optional("mark_all", s.mark_all, at_least(Bytes{0}),
             "ECN: packets that find a queue of this length are all marked; between the two the probability rises");
  v.optional("mark_probability_max", s.mark_probability_max, between(0.0, 1.0),
             "ECN: probability of a mark just below `mark_all`");
  v.optional("retransmission_timeout", s.retransmission_timeout, above(Duration{}),
             "after which a loss of which nothing else has told is noticed");
  v.optional("loss_rate", s.loss_rate, between(0.0, 0.9), "probability that a link after the first loses a packet");
  v.optional("seed", s.seed, at_least(uint64_t{0}), "of marks, random losses and the path with which each flow begins");
  v.optional("transport", s.transport, "how senders and receivers decide when to send");
}

inline void check_fields(const PacketOptions& s, const std::function<void(std::string, std::string)>& fault) {
  if (s.buffer < s.mtu) fault("buffer", "must have room for a packet of `mtu` bytes");
  if (s.mark_all < s.mark_from) fault("mark_all", "must not be below `mark_from`");
}

}  // namespace moesim
