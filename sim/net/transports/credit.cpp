// Receiver-driven credits, in the spirit of NDP (Handley et al., SIGCOMM 2017) and EQDS (Olteanu et al., NSDI 2022): a
// flow sends its first window at line rate unasked (NDP section 3.1); from then on the receiver pays it one credit for
// each packet that comes, at the rate of the receiver's link and to its flows in turn (NDP section 3.2). A port without
// room cuts a packet to its header (NDP section 3.1, after Cheng et al., NSDI 2014), so that the receiver knows of the
// loss one path latency later and grants a credit for the packet to be sent again.

#include "sim/net/packet/engine.h"

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
    uint32_t allowed = 0;  // packets
  };
  static constexpr bool kHasCredits = true;

  static bool trims(const Options& options) { return options.trimming; }
  static uint32_t unasked(const FlowFacts& flow, const Options& options) {
    const double packets = options.first_window_bdp * flow.bytes_in_flight() / double(flow.mtu.count);
    return uint32_t(std::min(packets, 1e9)) + 1;
  }
  static State begin(const FlowFacts& flow, const Options& options) { return {unasked(flow, options)}; }
  static Time may_send(const State& state, int64_t, Time now, const Options&) {
    return state.allowed > 0 ? now : kNotNow;
  }
  static void sent(State& state, int64_t, Time, const Options&) { --state.allowed; }
  // The header of a trimmed packet earns a credit; after any other loss the packet is sent again unasked.
  static void lost(State& state, int64_t, bool is_trimmed, Time, const Options&) { state.allowed += !is_trimmed; }
  static void credited(State& state) { ++state.allowed; }
};

[[maybe_unused]] const bool registered = Registry<TransportPolicy>::instance().add(
    "credit", "receivers pace credits at the rate of their link; ports trim packets (NDP, EQDS)",
    make_packet_engine<Credit>);

}  // namespace
}  // namespace moesim
