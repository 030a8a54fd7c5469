#include "sim/core/simulator.h"

namespace moesim {
namespace {

// More rounds than this at one instant is a loop between components, not work.
constexpr int kSettleRoundsMax = 1'000'000;

}  // namespace

bool Simulator::run(const std::atomic<bool>* stop) {
  halted_ = false;
  while (!halted_) {
    if (stop != nullptr && stop->load(std::memory_order_relaxed)) return false;
    if (settling_.empty() && !queue_.ready()) {
      if (queue_.empty()) return true;
      now_ = queue_.advance();
    }
    run_instant();
  }
  return true;
}

void Simulator::run_instant() {
  for (int round = 0;; ++round) {
    CHECK(round < kSettleRoundsMax);
    while (queue_.ready()) {
      const Event event = queue_.pop();
      ++events_;
      event.run(event.object, event.payload);
    }
    if (settling_.empty()) return;
    settling_now_.swap(settling_);
    for (const Event& event : settling_now_) event.run(event.object, event.payload);
    settling_now_.clear();
  }
}

}  // namespace moesim
