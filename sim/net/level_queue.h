// Links that wait to be worked off, roughly by rising level: buckets that are half a percent wide, each a stack.
// Pushing and popping take a few instructions; an exact order would cost more than the rare link that it would save.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/core/check.h"

namespace moesim {

class LevelQueue {
 public:
  explicit LevelQueue(size_t links) : next_(links, kNone), last_(kBuckets, kNone), full_(kBuckets / 64 + 1) {}

  // The bucket of a level of at most 62 bits: its leading bits. Nothing is below zero.
  static uint32_t bucket_of(int64_t level) {
    if (level <= 0) return 0;
    const int shift = int(std::bit_width(uint64_t(level))) - (kLeadingBits + 1);
    return shift <= 0 ? uint32_t(level) : (uint32_t(shift) << kLeadingBits) + uint32_t(level >> shift);
  }

  bool empty() const { return size_ == 0; }

  void push(int32_t link, uint32_t bucket) {
    const int32_t last = last_[bucket];
    last_[bucket] = link;
    ++size_;
    if (last != kNone) {
      next_[size_t(link)] = next_[size_t(last)];
      next_[size_t(last)] = link;
      return;
    }
    next_[size_t(link)] = link;
    full_[bucket / 64] |= uint64_t{1} << bucket % 64;
    summary_[bucket / 4096] |= uint64_t{1} << bucket / 64 % 64;
    lowest_summary_ = std::min(lowest_summary_, bucket / 4096);
  }

  uint32_t lowest_bucket() {
    CHECK(size_ > 0);
    while (summary_[lowest_summary_] == 0) ++lowest_summary_;
    const auto word = 64 * lowest_summary_ + uint32_t(std::countr_zero(summary_[lowest_summary_]));
    return 64 * word + uint32_t(std::countr_zero(full_[word]));
  }

  int32_t pop(uint32_t bucket) {
    const int32_t last = last_[bucket];
    const int32_t first = next_[size_t(last)];
    --size_;
    if (first != last) {
      next_[size_t(last)] = next_[size_t(first)];
      return first;
    }
    last_[bucket] = kNone;
    full_[bucket / 64] &= ~(uint64_t{1} << bucket % 64);
    if (full_[bucket / 64] == 0) summary_[bucket / 4096] &= ~(uint64_t{1} << bucket / 64 % 64);
    return first;
  }

 private:
  static constexpr int32_t kNone = -1;
  static constexpr int kLeadingBits = 12;
  static constexpr uint32_t kBuckets = (62 - kLeadingBits + 1) << kLeadingBits;
  static constexpr uint32_t kSummaries = kBuckets / 4096 + 1;

  std::vector<int32_t> next_;          // of each link: the one behind it in its bucket; of the last the first
  std::vector<int32_t> last_;          // of each bucket
  std::vector<uint64_t> full_;         // a bit for each bucket that is not empty
  uint64_t summary_[kSummaries] = {};  // a bit for each word of full_ that is not zero
  uint32_t lowest_summary_ = 0;        // all before it are zero
  size_t size_ = 0;
};

}  // namespace moesim
