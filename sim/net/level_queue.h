// Links that wait to be worked off, roughly by rising level: buckets that are half a percent wide, each a stack.
// Pushing and popping take a few instructions; an exact order would cost more than the rare link that it would save.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/core/check.h"

namespace moesim {

class LevelQueue {
 public:
  explicit LevelQueue(size_t links) : next_(links, kNone), top_(kBuckets, kNone), full_(kBuckets / 64 + 1) {}

  // The bucket of a level of at most 62 bits: its leading bits. Nothing is below zero.
  static uint32_t bucket_of(int64_t level) {
    if (level <= 0) return 0;
    const int shift = int(std::bit_width(uint64_t(level))) - (kLeadingBits + 1);
    return shift <= 0 ? uint32_t(level) : (uint32_t(shift) << kLeadingBits) + uint32_t(level >> shift);
  }

  bool empty() const { return size_ == 0; }

  void push(int32_t link, uint32_t bucket) {
    if (top_[bucket] == kNone) {
      full_[bucket / 64] |= uint64_t{1} << bucket % 64;
      summary_[bucket / 4096] |= uint64_t{1} << bucket / 64 % 64;
    }
    next_[size_t(link)] = top_[bucket];
    top_[bucket] = link;
    ++size_;
  }

  uint32_t lowest_bucket() const {
    for (uint32_t s = 0; s < kSummaries; ++s) {
      if (summary_[s] == 0) continue;
      const auto word = 64 * s + uint32_t(std::countr_zero(summary_[s]));
      return 64 * word + uint32_t(std::countr_zero(full_[word]));
    }
    CHECK(false);
    return 0;
  }

  int32_t pop(uint32_t bucket) {
    const int32_t link = top_[bucket];
    top_[bucket] = next_[size_t(link)];
    if (top_[bucket] == kNone) {
      full_[bucket / 64] &= ~(uint64_t{1} << bucket % 64);
      if (full_[bucket / 64] == 0) summary_[bucket / 4096] &= ~(uint64_t{1} << bucket / 64 % 64);
    }
    --size_;
    return link;
  }

 private:
  static constexpr int32_t kNone = -1;
  static constexpr int kLeadingBits = 8;
  static constexpr uint32_t kBuckets = (62 - kLeadingBits + 1) << kLeadingBits;
  static constexpr uint32_t kSummaries = kBuckets / 4096 + 1;

  std::vector<int32_t> next_;          // of each link: the one below it in its bucket
  std::vector<int32_t> top_;           // of each bucket
  std::vector<uint64_t> full_;         // a bit for each bucket that is not empty
  uint64_t summary_[kSummaries] = {};  // a bit for each word of full_ that is not zero
  size_t size_ = 0;
};

}  // namespace moesim
