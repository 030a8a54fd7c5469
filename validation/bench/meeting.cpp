#include "validation/bench/meeting.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim::bench {

void Meeting::maximum(std::span<double> values) {
  std::unique_lock lock(mutex_);
  if (abandoned_) throw Abandoned();
  if (arrived_ == 0) gathered_.assign(values.begin(), values.end());
  CHECK(gathered_.size() == values.size());
  for (size_t i = 0; i < values.size(); ++i) gathered_[i] = std::max(gathered_[i], values[i]);
  if (++arrived_ == threads_) {
    // Nobody still reads the last result: all of its readers have come here since.
    result_ = std::move(gathered_);
    arrived_ = 0;
    ++held_;
    changed_.notify_all();
  } else {
    const uint64_t before = held_;
    changed_.wait(lock, [&] { return held_ != before || abandoned_; });
    if (held_ == before) throw Abandoned();
  }
  std::copy(result_.begin(), result_.end(), values.begin());
}

void Meeting::abandon() {
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  changed_.notify_all();
}

bool Meeting::abandoned() const {
  const std::lock_guard lock(mutex_);
  return abandoned_;
}

void Meeting::reset() {
  const std::lock_guard lock(mutex_);
  abandoned_ = false;
  arrived_ = 0;
}

}  // namespace moesim::bench
