// Rate control by ECN marks, as in DCQCN (Zhu et al., "Congestion control for large-scale RDMA deployments", SIGCOMM
// 2015, section 3). The port marks packets (the congestion point, 3.1), the receiver answers marks with at most one
// notification (CNP) an interval (the notification point, 3.1), and the sender cuts its rate by half of alpha, its
// running estimate of how often that happens, and raises it again by a timer and a byte counter (the reaction point,
// 3.1). Alpha decays while no notification comes.
//
// Unlike there, the network may lose packets, so a sender also bounds what it has on the way (as "DCQCN+win" of Li et
// al., SIGCOMM 2019): it begins at line rate, and in an incast would else fill every buffer.
//
// The defaults of g, K, the interval of notifications, B and F are those published for 40 Gb/s. T was 55 us and R_AI
// 0.001 of the line rate there. Ours were chosen among eleven settings by the last finish of two to eight flows of 64
// to 512 MiB on one link of 400 Gb/s: 6 to 16 % after the fluid answer as published, 2 to 6 % with ours.
//
// Timers are not events: what they have done is worked out when the sender next asks.

#include "sim/net/packet/engine_of.h"

namespace moesim {
namespace {

struct DcqcnOptions {
  double gain = 1.0 / 256;
  Duration notification_interval = 50_us;
  Duration alpha_timer = 55_us;
  Duration increase_timer = 20_us;
  Bytes increase_bytes = {10'000'000};
  int32_t fast_recovery_steps = 5;
  double additive_increase = 0.005;
  double hyper_increase = 0.01;
  double rate_min = 0.001;
  double window_bdp = 1;
};

template <class Visitor>
void fields(Visitor& v, DcqcnOptions& s) {
  v.optional("gain", s.gain, between(1e-6, 1.0), "g: weight of a new observation in alpha");
  v.optional("notification_interval", s.notification_interval, above(Duration{}),
             "of a flow, in which its receiver sends at most one notification");
  v.optional("alpha_timer", s.alpha_timer, above(Duration{}),
             "K: alpha decays once in such a time without notification");
  v.optional("increase_timer", s.increase_timer, above(Duration{}), "T: the rate is raised once in such a time");
  v.optional("increase_bytes", s.increase_bytes, above(Bytes{0}), "B: and once in so many bytes");
  v.optional("fast_recovery_steps", s.fast_recovery_steps, between(1, 1000),
             "F: first steps after a cut, that only go half of the way back to the rate before it");
  v.optional("additive_increase", s.additive_increase, between(0.0, 1.0),
             "R_AI: step of the target rate after those, in line rates");
  v.optional("hyper_increase", s.hyper_increase, between(0.0, 1.0),
             "R_HAI: step of the target rate once timer and bytes are both past those, in line rates");
  v.optional("rate_min", s.rate_min, between(1e-5, 1.0), "that no cut goes below, in line rates");
  v.optional("window_bdp", s.window_bdp, between(0.01, 1e6),
             "bytes of a flow on the way, in bandwidth-delay products of its path, rounded up to whole packets");
}

struct Dcqcn {
  using Options = DcqcnOptions;
  struct State {
    // Rates in bytes per picosecond.
    double line = 0;
    double rate = 0;    // R_C
    double target = 0;  // R_T
    double alpha = 1;
    Time alpha_from;     // when its timer last started
    Time increase_from;  // when the timer of increases last started
    int64_t bytes_since = 0;
    int32_t timer_steps = 0;  // since the last cut
    int32_t byte_steps = 0;
    Time may_send;
    Time may_notify;  // of the receiver
    int64_t window = 0;
    int64_t on_the_way = 0;
    bool was_cut = false;
  };
  static constexpr bool kHasCredits = false;

  static bool trims(const Options&) { return false; }

  static State begin(const FlowFacts& flow, const Options& options) {
    State state;
    state.line = state.rate = state.target = flow.rate.bytes_per_s * 1e-12;
    const double packets = options.window_bdp * flow.bytes_in_flight() / double(flow.mtu.count);
    state.window = (int64_t(packets) + 1) * flow.mtu.count;
    return state;
  }

  static Time may_send(State& state, int64_t bytes, Time now, const Options& options) {
    if (state.on_the_way + bytes > state.window) return kNotNow;
    if (state.may_send <= now) return now;
    if (!is_slowed(state)) return state.may_send;
    const double rate_before = state.rate;
    run_timers(state, now, options);
    if (state.rate > rate_before)
      state.may_send = now + Duration{int64_t(double((state.may_send - now).ps) * rate_before / state.rate)};
    return std::min(state.may_send, state.increase_from + options.increase_timer);
  }

  static void sent(State& state, int64_t bytes, Time now, const Options& options) {
    state.on_the_way += bytes;
    if (is_slowed(state)) {
      run_timers(state, now, options);
      state.bytes_since += bytes;
      for (; state.bytes_since >= options.increase_bytes.count; state.bytes_since -= options.increase_bytes.count) {
        ++state.byte_steps;
        increase(state, options);
      }
    }
    state.may_send = now + Duration{int64_t(double(bytes) / state.rate)};
  }

  static void lost(State& state, int64_t bytes, bool, Time, const Options&) { state.on_the_way -= bytes; }

  static Answer received(State& state, bool is_marked, Time now, const Options& options) {
    if (!is_marked || now < state.may_notify) return {true, false};
    state.may_notify = now + options.notification_interval;
    return {true, true};
  }

  static void answered(State& state, int64_t bytes, bool is_congested, Time now, const Options& options) {
    state.on_the_way -= bytes;
    if (!is_congested) return;
    if (state.was_cut) run_timers(state, now, options);
    state.was_cut = true;
    state.target = state.rate;
    state.rate = std::max(state.rate * (1 - state.alpha / 2), state.line * options.rate_min);
    state.alpha = (1 - options.gain) * state.alpha + options.gain;
    state.alpha_from = state.increase_from = now;
    state.bytes_since = 0;
    state.timer_steps = state.byte_steps = 0;
  }

 private:
  static bool is_slowed(const State& state) { return state.rate < state.line; }

  // What alpha's timer and the increase timer have done until now.
  static void run_timers(State& state, Time now, const Options& options) {
    for (; now - state.alpha_from >= options.alpha_timer && state.alpha > 1e-9;
         state.alpha_from = state.alpha_from + options.alpha_timer)
      state.alpha *= 1 - options.gain;
    for (; now - state.increase_from >= options.increase_timer && is_slowed(state);
         state.increase_from = state.increase_from + options.increase_timer) {
      ++state.timer_steps;
      increase(state, options);
    }
  }

  static void increase(State& state, const Options& options) {
    const int32_t most = std::max(state.timer_steps, state.byte_steps);
    const int32_t least = std::min(state.timer_steps, state.byte_steps);
    if (least > options.fast_recovery_steps)
      state.target += (least - options.fast_recovery_steps) * options.hyper_increase * state.line;
    else if (most > options.fast_recovery_steps)
      state.target += options.additive_increase * state.line;
    state.target = std::min(state.target, state.line);
    state.rate = (state.target + state.rate) / 2;
    if (state.rate > state.line * (1 - 1e-6)) state.rate = state.line;
  }
};

[[maybe_unused]] const bool registered = Registry<TransportPolicy>::instance().add(
    "dcqcn", "rate control by ECN marks, with a window (Zhu et al., SIGCOMM 2015)", make_packet_engine<Dcqcn>);

}  // namespace
}  // namespace moesim
