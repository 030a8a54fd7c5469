#include "validation/bench/cpu/memory.h"

#include <cstring>
#include <numeric>

namespace moesim::bench {

CpuArrays::CpuArrays(int64_t bytes, Team& team)
    : a_(bytes / 24), b_(bytes / 24), c_(bytes / 24), sums_(size_t(team.threads()) * 8) {
  team.run([&](int thread) {
    const auto [begin, end] = team.part(thread, a_.size(), 8);
    for (int64_t i = begin; i < end; ++i) {
      a_.data()[i] = 1;
      b_.data()[i] = double(i % 7);
      c_.data()[i] = 0.5;
    }
  });
}

double CpuArrays::read(Team& team) {
  team.run([&](int thread) {
    const auto [begin, end] = team.part(thread, a_.size(), 8);
    double sums[8] = {};  // independent of each other, so that additions do not wait for one another
    for (const auto* array : {&a_, &b_, &c_})
      for (int64_t i = begin; i + 8 <= end; i += 8)
        for (int j = 0; j < 8; ++j) sums[j] += array->data()[i + j];
    sums_[size_t(thread) * 8] = std::accumulate(sums, sums + 8, 0.0);
  });
  return std::accumulate(sums_.begin(), sums_.end(), 0.0);
}

void CpuArrays::triad(Team& team) {
  team.run([&](int thread) {
    const auto [begin, end] = team.part(thread, a_.size(), 8);
    double* const a = a_.data();
    const double* const b = b_.data();
    const double* const c = c_.data();
    for (int64_t i = begin; i < end; ++i) a[i] = b[i] + 3 * c[i];
  });
}

CpuRows::CpuRows(int64_t rows, int64_t width, int64_t table_rows, Team& team)
    : rows_(rows), width_(width), table_(table_rows * width), packed_(rows * width) {
  // A step that has no factor in common with a power of two visits every row of such a table once.
  for (int64_t row = 0; row < rows; ++row) order_.push_back(row * 40503 % table_rows);
  team.run([&](int thread) {
    const auto [begin, end] = team.part(thread, table_.size(), width_);
    std::memset(table_.data() + begin, 1, size_t(end - begin) * 2);
    const auto [first, last] = team.part(thread, packed_.size(), width_);
    std::memset(packed_.data() + first, 2, size_t(last - first) * 2);
  });
}

void CpuRows::gather(Team& team) {
  team.run([&](int thread) {
    const auto [begin, end] = team.part(thread, rows_);
    for (int64_t row = begin; row < end; ++row)
      std::memcpy(packed_.data() + row * width_, table_.data() + order_[size_t(row)] * width_, size_t(width_) * 2);
  });
}

void CpuRows::scatter(Team& team) {
  team.run([&](int thread) {
    const auto [begin, end] = team.part(thread, rows_);
    for (int64_t row = begin; row < end; ++row)
      std::memcpy(table_.data() + order_[size_t(row)] * width_, packed_.data() + row * width_, size_t(width_) * 2);
  });
}

}  // namespace moesim::bench
