// Loops over independent rows on all cores.
#pragma once

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

namespace moesim::bench::reference {

// Calls body(i) for every i below count, on as many threads as there are cores, each with every so-manieth i, since
// later rows of causal attention cost more. `body` must not throw.
template <class Body>
void parallel_for(int64_t count, const Body& body) {
  const int64_t threads = std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, 64);
  const int64_t used =
      std::min(threads, count / 16 + 1);  // a thread for a few short rows would cost more than it saves
  std::vector<std::thread> running;
  for (int64_t first = 1; first < used; ++first)
    running.emplace_back([&body, first, used, count] {
      for (int64_t i = first; i < count; i += used) body(i);
    });
  for (int64_t i = 0; i < count; i += used) body(i);
  for (std::thread& thread : running) thread.join();
}

}  // namespace moesim::bench::reference
