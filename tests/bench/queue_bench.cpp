// The hold model: pop the earliest of a constant number of pending events and push one later. Both sides run the same
// 32-byte event by the same function pointer, and draw the same gaps: exponential, with a mean that leaves 1 ns
// between neighbours, so that the pending events stay spread out.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <queue>
#include <vector>

#include "sim/core/random.h"
#include "sim/core/simulator.h"

namespace moesim {
namespace {

// Of one timed batch: at least as many as are pending, since the queue's work comes in lumps.
size_t holds_of(size_t pending) { return std::max(pending, size_t(1) << 20); }

// Drawn ahead, so that drawing is not what is measured. An odd number of them never falls into step with the events.
class Gaps {
 public:
  explicit Gaps(size_t pending) : gaps_((1 << 16) + 1) {
    Rng rng(1);
    for (Duration& gap : gaps_) gap = Duration{1 + int64_t(rng.exponential() * 1000.0 * double(pending))};
  }
  Duration next() { return gaps_[next_ = next_ + 1 == gaps_.size() ? 0 : next_ + 1]; }

 private:
  std::vector<Duration> gaps_;
  size_t next_ = 0;
};

// Each event posts its successor through the public simulator.
struct Hold {
  explicit Hold(size_t pending) : gaps(pending) {
    for (size_t i = 0; i < pending; ++i) sim.after<&Hold::fire>(gaps.next(), *this, i);
  }
  void fire(uint64_t payload) {
    sim.after<&Hold::fire>(gaps.next(), *this, payload);
    if (--left == 0) stop = true;
  }
  void run(size_t holds) {
    left = holds;
    stop = false;
    sim.run(&stop);
  }

  Simulator sim;
  Gaps gaps;
  size_t left = 0;
  std::atomic<bool> stop = false;
};

struct Later {
  bool operator()(const Event& a, const Event& b) const {
    return a.time != b.time ? a.time > b.time : a.payload > b.payload;
  }
};

// The same with the standard library's binary heap; the payload is the sequence number that keeps equal times in order.
struct HeapHold {
  explicit HeapHold(size_t pending) : gaps(pending) {
    for (size_t i = 0; i < pending; ++i) post(gaps.next());
  }
  void post(Duration delay) { queue.push({now + delay, &HeapHold::fire, this, sequence++}); }
  static void fire(void* object, uint64_t) {
    auto& hold = *static_cast<HeapHold*>(object);
    hold.post(hold.gaps.next());
  }
  void run(size_t holds) {
    for (size_t i = 0; i < holds; ++i) {
      const Event event = queue.top();
      queue.pop();
      now = event.time;
      event.run(event.object, event.payload);
    }
  }

  std::priority_queue<Event, std::vector<Event>, Later> queue;
  Gaps gaps;
  Time now;
  uint64_t sequence = 0;
};

template <class Model>
void hold(benchmark::State& state) {
  Model model(size_t(state.range(0)));
  model.run(2 * size_t(state.range(0)));  // to the steady state: every event has been replaced about twice
  const size_t holds = holds_of(size_t(state.range(0)));
  for (auto _ : state) model.run(holds);
  state.counters["per_hold"] = benchmark::Counter(double(state.iterations()) * double(holds),
                                                  benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

BENCHMARK(hold<Hold>)
    ->Name("simulator")
    ->Arg(10)
    ->Arg(1'000)
    ->Arg(100'000)
    ->Arg(10'000'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(hold<HeapHold>)
    ->Name("std::priority_queue")
    ->Arg(10)
    ->Arg(1'000)
    ->Arg(100'000)
    ->Arg(10'000'000)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moesim
