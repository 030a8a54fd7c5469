// Where the host threads of all GPUs of a process meet. Plain C++.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <span>
#include <stdexcept>
#include <vector>

namespace moesim::bench {

// Thrown out of a meeting that one of the threads will never come to.
struct Abandoned : std::runtime_error {
  Abandoned() : std::runtime_error("another GPU's measurement failed") {}
};

class Meeting {
 public:
  explicit Meeting(size_t threads) : threads_(threads) {}

  // Waits for all threads, each with equally many values; every thread gets, place by place, the largest.
  void maximum(std::span<double> values);
  void wait() { maximum({}); }

  // For a thread that fails: all who wait, or come to wait, throw Abandoned, until reset().
  void abandon();
  bool abandoned() const;
  // No thread may be in a meeting.
  void reset();

 private:
  size_t threads_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  size_t arrived_ = 0;
  uint64_t held_ = 0;  // meetings so far
  bool abandoned_ = false;
  std::vector<double> gathered_;
  std::vector<double> result_;
};

}  // namespace moesim::bench
