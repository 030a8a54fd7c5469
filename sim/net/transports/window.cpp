// A fixed window: a flow has at most so many bytes on the way, and every packet that arrives lets another go. It reacts
// to nothing but losses: the baseline that congestion control has to beat.

#include "sim/net/packet/engine_of.h"

namespace moesim {
namespace {

struct WindowOptions {
  double window_bdp = 1;
};

template <class Visitor>
void fields(Visitor& v, WindowOptions& s) {
  v.optional("window_bdp", s.window_bdp, between(0.01, 1000.0),
             "bytes of a flow on the way, in bandwidth-delay products of its path, rounded up to whole packets");
}

struct Window {
  using Options = WindowOptions;
  struct State {
    int64_t window = 0;
    int64_t on_the_way = 0;
  };
  static constexpr bool kHasCredits = false;

  static bool trims(const Options&) { return false; }
  // One packet more: a path is full only if a packet waits whenever another has left.
  static State begin(const FlowFacts& flow, const Options& options) {
    const double packets = options.window_bdp * flow.bytes_in_flight() / double(flow.mtu.count);
    return {(int64_t(packets) + 1) * flow.mtu.count, 0};
  }
  static Time may_send(const State& state, int64_t bytes, Time now, const Options&) {
    return state.on_the_way + bytes <= state.window ? now : kNotNow;
  }
  static void sent(State& state, int64_t bytes, Time, const Options&) { state.on_the_way += bytes; }
  static void lost(State& state, int64_t bytes, bool, Time, const Options&) { state.on_the_way -= bytes; }
  static Answer received(State&, bool, Time, const Options&) { return {}; }
  static void answered(State& state, int64_t bytes, bool, Time, const Options&) { state.on_the_way -= bytes; }
};

[[maybe_unused]] const bool registered = Registry<TransportPolicy>::instance().add(
    "window", "a fixed window of one bandwidth-delay product a flow, no congestion control",
    make_packet_engine<Window>);

}  // namespace
}  // namespace moesim
