// The discrete-event engine: a clock, the pending events, and what must settle before the clock moves on.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "sim/core/digest.h"
#include "sim/core/event_queue.h"
#include "sim/core/units.h"

namespace moesim {

class Simulator {
 public:
  Time now() const { return now_; }

  // Runs object.*Method at that time, which may be now but not before. Method takes nothing or a uint64_t payload.
  template <auto Method, class T>
  void at(Time time, T& object, uint64_t payload = 0) {
    queue_.push({time, &call<Method, T>, &object, payload});
  }
  template <auto Method, class T>
  void after(Duration delay, T& object, uint64_t payload = 0) {
    at<Method>(now_ + delay, object, payload);
  }

  // Runs object.*Method once nothing else is left at this instant. It may push events at this instant and ask to
  // settle again; the instant ends when both are quiet. Whoever asks keeps track of having asked.
  template <auto Method, class T>
  void settle(T& object) {
    settling_.push_back({now_, &call<Method, T>, &object, 0});
  }

  // Runs until nothing is pending, until someone halts it, or until *stop (if given) becomes true, which it looks at
  // between instants. Returns false only where it was stopped.
  bool run(const std::atomic<bool>* stop = nullptr);

  // Ends run() after this instant, though events are pending: what was waited for is done, and the rest may go on with
  // the next run().
  void halt() { halted_ = true; }

  uint64_t events() const { return events_; }
  size_t pending() const { return queue_.size(); }

  // Components add what they did, so that the digest covers the whole run.
  Digest digest;

 private:
  template <auto Method, class T>
  static void call(void* object, uint64_t payload) {
    if constexpr (requires(T& t) { (t.*Method)(payload); })
      (static_cast<T*>(object)->*Method)(payload);
    else
      (static_cast<T*>(object)->*Method)();
  }

  void run_instant();

  EventQueue queue_;
  std::vector<Event> settling_;
  std::vector<Event> settling_now_;
  Time now_;
  uint64_t events_ = 0;
  bool halted_ = false;
};

}  // namespace moesim
