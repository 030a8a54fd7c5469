// Receiver-driven credits, in the spirit of NDP (Handley et al., SIGCOMM 2017) and EQDS (Olteanu et al., NSDI 2022): a
// flow sends its first window at line rate unasked; from then on the receiver pays it one credit for
// each packet that comes, at the rate of the receiver's link and to its flows in turn. A port without
// room cuts a packet to its header (NDP, after Cheng et al., NSDI 2014), so that the receiver knows of the
// loss one path latency later, and so does the sender one more.
//
// Unlike in NDP, a packet that was trimmed before the receiver's link earns no credit, unless it was the last of its
// flow on the way: what the flow has on the way shrinks by a packet. It grows again by one packet a round trip without
// marks, up to the first window. Without this, flows that meet anywhere but on the receiver's link would go on having
// packets trimmed, since the receiver's link, which is idle, lets them all come. Switches can mark the two kinds of
// trims apart for such uses (Switch Abstraction Interface, SAI-Proposal-Packet-Trimming).

#include "sim/net/packet/engine_of.h"

namespace moesim {
namespace {

struct CreditOptions {
  double first_window_bdp = 1;
  bool trimming = true;
};

template <class Visitor>
void fields(Visitor& v, CreditOptions& s) {
  v.optional("first_window_bdp", s.first_window_bdp, between(0.01, 1000.0),
             "what a flow sends unasked, in bandwidth-delay products of its path, rounded up to whole packets");
  v.optional("trimming", s.trimming, "ports cut packets without room to their header instead of dropping them");
}

struct Credit {
  using Options = CreditOptions;
  struct State {
    uint32_t allowed = 0;  // of the sender: packets that it may send
    // Of the receiver: packets that may be on the way, how many there were at first, and arrivals since it let one
    // more.
    uint32_t on_the_way = 0;
    uint32_t window = 0;
    uint32_t calm = 0;
  };
  static constexpr bool kHasCredits = true;

  static bool trims(const Options& options) { return options.trimming; }
  static uint32_t unasked(const FlowFacts& flow, const Options& options) {
    const double window = options.first_window_bdp * flow.bytes_in_flight() / double(flow.mtu.count);
    return uint32_t(std::min(window + 1, double(flow.packets)));
  }
  static State begin(const FlowFacts& flow, const Options& options) {
    const uint32_t window = unasked(flow, options);
    return {window, window, window, 0};
  }
  static Time may_send(const State& state, int64_t, Time now, const Options&) {
    return state.allowed > 0 ? now : kNotNow;
  }
  static void sent(State& state, int64_t, Time, const Options&) { --state.allowed; }
  // The header of a trimmed packet earns a credit; after any other loss the packet is sent again unasked.
  static void lost(State& state, int64_t, bool is_trimmed, Time, const Options&) { state.allowed += !is_trimmed; }
  static void credited(State& state) { ++state.allowed; }
  static uint32_t earned(State& state, Arrival arrival, bool is_marked, uint32_t left, const Options&) {
    CHECK(state.on_the_way > 0);
    --state.on_the_way;
    uint32_t credits = arrival == Arrival::trimmed_before && state.on_the_way > 0 ? 0 : 1;
    if (arrival == Arrival::whole && !is_marked && state.on_the_way + 1 < state.window &&
        ++state.calm > state.on_the_way) {
      state.calm = 0;
      ++credits;
    }
    credits = std::min(credits, left);
    state.on_the_way += credits;
    return credits;
  }
};

[[maybe_unused]] const bool registered = Registry<TransportPolicy>::instance().add(
    "credit", "receivers pace credits at the rate of their link; ports trim packets (NDP, EQDS)",
    make_packet_engine<Credit>);

}  // namespace
}  // namespace moesim
