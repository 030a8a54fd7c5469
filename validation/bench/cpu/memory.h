// What the CPU's memory gives: reading, the triad, and rows gathered and scattered.
#pragma once

#include <cstdint>
#include <vector>

#include "validation/bench/cpu/team.h"
#include "validation/bench/cpu/weights.h"

namespace moesim::bench {

// Three arrays that together have `bytes`; each thread first touches the parts that it will work on.
class CpuArrays {
 public:
  CpuArrays(int64_t bytes, Team& team);

  // Sums all three arrays: bytes() are read. The sum keeps the compiler from leaving it out.
  double read(Team& team);
  // a = b + 3 c: bytes() are read or written (and a third more read where the CPU fetches what it overwrites).
  void triad(Team& team);
  int64_t bytes() const { return 3 * a_.size() * int64_t(sizeof(double)); }

 private:
  AlignedArray<double> a_, b_, c_;
  std::vector<double> sums_;
};

// Rows of `width` bf16 numbers out of a table, in a scattered order, and back into it.
class CpuRows {
 public:
  CpuRows(int64_t rows, int64_t width, int64_t table_rows, Team& team);

  void gather(Team& team);
  void scatter(Team& team);
  int64_t bytes() const { return 2 * packed_.size() * int64_t(sizeof(uint16_t)); }  // read and written

 private:
  int64_t rows_, width_;
  AlignedArray<uint16_t> table_, packed_;
  std::vector<int64_t> order_;
};

}  // namespace moesim::bench
