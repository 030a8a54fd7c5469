// Threads that work together on one thing after another, and wait for each other in between.
#pragma once

#include <algorithm>
#include <barrier>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

namespace moesim::bench {

class Team {
 public:
  explicit Team(int threads) : threads_(threads), meeting_(threads) {
    for (int thread = 1; thread < threads; ++thread)
      workers_.emplace_back([this, thread] {
        while (true) {
          meeting_.arrive_and_wait();
          if (body_ == nullptr) return;
          (*body_)(thread);
          meeting_.arrive_and_wait();
        }
      });
  }
  ~Team() {
    body_ = nullptr;
    meeting_.arrive_and_wait();
    for (std::thread& worker : workers_) worker.join();
  }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int threads() const { return threads_; }

  // body(thread) on all threads, of which the caller is thread 0. `body` must not throw.
  void run(const std::function<void(int)>& body) {
    body_ = &body;
    meeting_.arrive_and_wait();
    body(0);
    meeting_.arrive_and_wait();
  }

  // Inside a body: all threads go on when all have come.
  void wait() { meeting_.arrive_and_wait(); }

  // The thread's part of `count`, in whole blocks.
  std::pair<int64_t, int64_t> part(int thread, int64_t count, int64_t block = 1) const {
    const int64_t blocks = (count + block - 1) / block;
    const auto edge = [&](int64_t t) { return std::min(count, blocks * t / threads_ * block); };
    return {edge(thread), edge(thread + 1)};
  }

 private:
  int threads_;
  std::barrier<> meeting_;
  const std::function<void(int)>* body_ = nullptr;
  std::vector<std::thread> workers_;
};

}  // namespace moesim::bench
