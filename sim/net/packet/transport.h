// What decides when the packets of a flow are sent: the kind of policy, and what each of them consists of.
//
// A transport is a struct of plain state and static functions over it, which PacketEngineOf (engine_of.h) calls for
// each packet without any indirection:
//
//   struct Window {
//     using Options = WindowOptions;              // with fields()
//     struct State { .. };                        // of one flow, both ends: plain and copyable
//     static constexpr bool kHasCredits = false;  // whether receivers pay credits, or answer packets
//
//     // Whether ports cut packets without room to their header.
//     static bool trims(const Options&);
//     static State begin(const FlowFacts&, const Options&);
//     // Now, or a later time at which to ask again, or kNotNow.
//     static Time may_send(State&, int64_t bytes, Time now, const Options&);
//     static void sent(State&, int64_t bytes, Time now, const Options&);
//     // The sender learns of a loss.
//     static void lost(State&, int64_t bytes, bool is_trimmed, Time now, const Options&);
//
//     // Without credits: what the receiver answers to a packet, and what the sender makes of the answer.
//     static Answer received(State&, bool is_marked, Time now, const Options&);
//     static void answered(State&, int64_t bytes, bool is_congested, Time now, const Options&);
//
//     // With credits: the packets that a flow may send unasked; a credit comes, good for one packet; and what an
//     // arrival earns its flow of the `left` credits that it still needs.
//     static uint32_t unasked(const FlowFacts&, const Options&);
//     static void credited(State&);
//     static uint32_t earned(State&, Arrival, bool is_marked, uint32_t left, const Options&);
//   };
//
// A receiver pays credits at the rate of its last link, to one flow after another, and none faster than the flow could
// use them on its path if it were empty. The registry is only for choosing: what it makes is the engine, once a
// network.
#pragma once

#include <limits>
#include <memory>
#include <vector>

#include "sim/config/registry.h"
#include "sim/core/simulator.h"
#include "sim/net/link.h"
#include "sim/net/packet/packet.h"

namespace moesim {

// What a transport knows of a flow when it begins.
struct FlowFacts {
  uint32_t packets = 0;
  Bytes mtu;
  Rate rate;            // of the narrowest link of its widest path
  Duration round_trip;  // of a full packet over empty links and of its answer, on the longest path

  // What can be on the way at full rate: the bandwidth-delay product.
  double bytes_in_flight() const { return rate.bytes_per_s * round_trip.seconds(); }
};

// A packet comes whole or trimmed, on the receiver's own link or before it.
enum class Arrival : uint8_t { whole, trimmed_at_last_link, trimmed_before };

struct Answer {
  bool is_sent = true;  // else the sender hears nothing
  bool is_congested = false;
};

inline constexpr Time kNotNow{std::numeric_limits<int64_t>::max()};  // not before something is heard

class PacketEngine;
struct PacketOptions;

struct PacketEngineInput {
  Simulator& sim;
  std::vector<Link> links;
  FlowDone done;
  const PacketOptions& options;
};

struct TransportPolicy {
  using Input = PacketEngineInput;
  using Decision = std::unique_ptr<PacketEngine>;
  static constexpr const char* kind = "transport";
};

}  // namespace moesim
