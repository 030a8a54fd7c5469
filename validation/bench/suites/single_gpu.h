// What the suites that run on one GPU share.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/core/random.h"
#include "validation/bench/bench.h"

namespace moesim::bench {

// Cases in an order that depends on the seed: a run that is cut short has all kinds, and what changes with time, as
// the clock does, does not change with size.
template <class Case>
void shuffle_cases(std::vector<Case>& cases, const Bench& bench, std::string_view suite) {
  Rng rng = Rng::stream(bench.options.seed, suite);
  rng.shuffle(std::span<Case>(cases));
}

// How many calls a sample needs so that the start of a graph, a few microseconds, counts little.
inline int calls_for(double expected_us) { return std::clamp(int(std::ceil(200 / std::max(expected_us, 1.0))), 1, 16); }

// Roughly how long a kernel takes on an H100: enough to decide how often to call it.
inline double expected_us(double flops, double bytes) { return 3 + std::max(flops / 500e6, bytes / 2.5e6); }

// Bytes of device memory that a suite may take.
inline int64_t bytes_free() {
  size_t free = 0;
  size_t all = 0;
  check_cuda(cudaMemGetInfo(&free, &all));
  return int64_t(free) - (int64_t{1} << 30);
}

// Memory from which parts are handed out in turn, so that calls one after another read different weights, as the
// layers of a model do.
class RotatingWeights {
 public:
  explicit RotatingWeights(DeviceArray<bf16>&& memory) : memory_(std::move(memory)) {}

  // The next `bytes`, aligned; `bytes` is at most the whole.
  const void* next(int64_t bytes) {
    const int64_t aligned = (bytes + 255) / 256 * 256;
    const int64_t all = int64_t(memory_.size() * sizeof(bf16));
    if (at_ + aligned > all) at_ = 0;
    const void* const part = reinterpret_cast<const std::byte*>(memory_.data()) + at_;
    at_ += aligned;
    return part;
  }
  const bf16* next_bf16(int64_t count) { return static_cast<const bf16*>(next(count * int64_t(sizeof(bf16)))); }
  int64_t bytes() const { return int64_t(memory_.size() * sizeof(bf16)); }

 private:
  DeviceArray<bf16> memory_;
  int64_t at_ = 0;
};

// `count` random numbers of this scale.
inline DeviceArray<bf16> normal_array(int64_t count, float scale, uint64_t seed, cudaStream_t stream) {
  DeviceArray<bf16> array(size_t(std::max<int64_t>(count, 1)));
  fill_normal(array.data(), int64_t(array.size()), scale, seed, stream);
  return array;
}

}  // namespace moesim::bench
