#include "sim/core/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

namespace moesim {

void for_all(size_t count, size_t threads, const std::function<void(size_t)>& body) {
  std::vector<std::exception_ptr> failures(count);
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < count; i = next++) try {
        body(i);
      } catch (...) {  // handed to the thread that asked, below
        failures[i] = std::current_exception();
      }
  };
  std::vector<std::jthread> others;
  for (size_t thread = 1; thread < std::min(threads, count); ++thread) others.emplace_back(work);
  work();
  others.clear();  // joins
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace moesim
