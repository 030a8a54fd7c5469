// Like processors shared by tasks that run at once: the SMs of a GPU.
//
// First come, first served: a task is allotted what the tasks that started before it leave, up to its units, and
// works at allotted / units of its full speed. So a kernel that fills the GPU holds up those after it, a
// communication kernel that came first slows what follows by the SMs it spins on, and a copy engine, which needs
// no SM, disturbs nobody. Measured on two H100s: an all-to-all by SMs beside a grouped GEMM that filled the GPU
// gained nothing (11.61 + 1.17 ms ran in 12.68 ms), one by copy engines was nearly free (11.61 + 2.51 in 11.78 ms).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/core/units.h"

namespace moesim {

class ProcessorPool {
 public:
  explicit ProcessorPool(int32_t units) : units_(units) {}

  // Times never go back from one call to the next.
  void start(Time now, uint64_t task, int32_t units, Duration length);
  void release(Time now, uint64_t task);  // the task is done and gives its units back

  // When the next task that still works will be done with it, if nothing changes.
  std::optional<Time> next_worked() const;
  // Moves to now and reports, in order of start, a task whose work has just been done; each is reported once.
  std::optional<uint64_t> pop_worked(Time now);

 private:
  struct Running {
    uint64_t task;
    int32_t units;
    int32_t allotted;
    int64_t remaining;  // unit-picoseconds of work; exact, whatever the allotments were
    bool reported;
  };

  void advance(Time now);
  void allot();

  int32_t units_;
  Time time_;
  std::vector<Running> running_;  // in order of start
};

}  // namespace moesim
