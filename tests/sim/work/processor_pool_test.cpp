#include "sim/work/processor_pool.h"

#include <gtest/gtest.h>

#include "sim/core/random.h"

namespace moesim {
namespace {

// Runs the pool alone until nothing works; returns the time at which each task's work was done. Tasks give their
// units back at once.
std::vector<Time> run_all(ProcessorPool& pool, size_t tasks) {
  std::vector<Time> worked(tasks);
  while (const auto next = pool.next_worked()) {
    while (const auto task = pool.pop_worked(*next)) {
      worked[*task] = *next;
      pool.release(*next, *task);
    }
  }
  return worked;
}

TEST(ProcessorPool, ATaskThatFillsItHoldsUpTheNext) {
  ProcessorPool pool(132);
  pool.start(Time{0}, 0, 132, 1_ms);
  pool.start(Time{0}, 1, 20, 100_us);
  EXPECT_EQ(run_all(pool, 2), (std::vector<Time>{Time{} + 1_ms, Time{} + 1100_us}));
}

// The first task keeps 20 of 100 units for 1 ms. The second, of 100 units and 2 ms, works at 0.8 meanwhile, so 1.2 ms
// of it are left at 1 ms, and it ends at 2.2 ms.
TEST(ProcessorPool, ATaskThatCameFirstSlowsALargerOne) {
  ProcessorPool pool(100);
  pool.start(Time{0}, 0, 20, 1_ms);
  pool.start(Time{0}, 1, 100, 2_ms);
  EXPECT_EQ(run_all(pool, 2), (std::vector<Time>{Time{} + 1_ms, Time{} + 2200_us}));
}

// Both fit: nobody waits.
TEST(ProcessorPool, TasksThatFitRunAtFullSpeed) {
  ProcessorPool pool(100);
  pool.start(Time{0}, 0, 60, 3_us);
  pool.start(Time{0}, 1, 40, 2_us);
  EXPECT_EQ(run_all(pool, 2), (std::vector<Time>{Time{} + 3_us, Time{} + 2_us}));
}

// A task that has done its work keeps its units until it is released: a communication kernel spins while bytes travel.
TEST(ProcessorPool, UnitsAreHeldUntilReleased) {
  ProcessorPool pool(100);
  pool.start(Time{0}, 0, 50, 1_us);
  pool.start(Time{0}, 1, 100, 2_us);
  ASSERT_EQ(pool.pop_worked(Time{} + 1_us), 0u);
  // Half speed for 3 us is 1.5 us of work; 0.5 us are left at full speed.
  pool.release(Time{} + 3_us, 0);
  EXPECT_EQ(pool.next_worked(), Time{} + 3500_ns);
}

// No unit-picosecond is lost or invented: the pool is never faster than its units allow, and with any load pending
// it is never idle, so the last work of tasks that all start at 0 and all need every unit ends at their sum.
TEST(ProcessorPool, WorkIsConserved) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const int32_t units = int32_t(rng.between(1, 200));
    ProcessorPool pool(units);
    Duration sum;
    const size_t tasks = 1 + rng.below(20);
    for (size_t task = 0; task < tasks; ++task) {
      const Duration length{rng.between(0, 1'000'000)};
      sum += length;
      pool.start(Time{0}, task, units, length);
    }
    const std::vector<Time> worked = run_all(pool, tasks);
    EXPECT_EQ(worked.back() - Time{0}, sum);
  }
}

}  // namespace
}  // namespace moesim
