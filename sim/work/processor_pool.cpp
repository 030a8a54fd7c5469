#include "sim/work/processor_pool.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {

void ProcessorPool::start(Time now, uint64_t task, int32_t units, Duration length) {
  CHECK(units > 0);
  CHECK(units <= units_);
  CHECK(length.ps <= INT64_MAX / units);
  advance(now);
  running_.push_back({task, units, 0, length.ps * units, false});
  allot();
}

void ProcessorPool::release(Time now, uint64_t task) {
  advance(now);
  const auto found = std::find_if(running_.begin(), running_.end(), [&](const Running& r) { return r.task == task; });
  CHECK(found != running_.end());
  CHECK(found->reported);
  running_.erase(found);
  allot();
}

std::optional<Time> ProcessorPool::next_worked() const {
  std::optional<Time> next;
  for (const Running& running : running_) {
    if (running.reported || running.allotted == 0) continue;
    const int64_t length = (running.remaining + running.allotted - 1) / running.allotted;
    const Time worked = time_ + Duration{length};
    if (!next || worked < *next) next = worked;
  }
  return next;
}

std::optional<uint64_t> ProcessorPool::pop_worked(Time now) {
  advance(now);
  for (Running& running : running_) {
    if (running.reported || running.allotted == 0 || running.remaining > 0) continue;
    running.reported = true;
    return running.task;
  }
  return {};
}

void ProcessorPool::advance(Time now) {
  const Duration elapsed = now - time_;
  CHECK(elapsed >= Duration{});
  if (elapsed == Duration{}) return;
  for (Running& running : running_)
    if (!running.reported)  // the last picosecond may be worked in part
      running.remaining = std::max(int64_t{0}, running.remaining - elapsed.ps * running.allotted);
  time_ = now;
}

void ProcessorPool::allot() {
  int32_t left = units_;
  for (Running& running : running_) {
    running.allotted = std::min(running.units, left);
    left -= running.allotted;
  }
}

}  // namespace moesim
