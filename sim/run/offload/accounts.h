// Sums of what offloaded experts did, of all GPUs; they do not grow with the run.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/core/units.h"
#include "sim/run/offload_result.h"

namespace moesim {

// Amounts over time in periods that double when there are too many, so that a run of any length has 32 to 64 of them.
class Periods {
 public:
  void add(Time when, Bytes bytes);
  Duration length() const { return length_; }
  const std::vector<Bytes>& sums() const { return sums_; }

 private:
  Duration length_ = 1_ms;
  std::vector<Bytes> sums_;
};

struct OffloadLayerSums {
  int64_t accesses = 0;
  int64_t hits = 0;
  int64_t late = 0;
  int64_t evicted = 0;
  int64_t cold = 0;
  int64_t forecast = 0;  // accesses of which there was a forecast
  int64_t recalled = 0;
  Duration stall;
};

// What a GPU's wait ends with.
enum class StallCause : uint8_t { copy, late, cpu };
constexpr size_t kStallCauses = 3;

struct OffloadSums {
  std::vector<OffloadLayerSums> layers;  // [MoE layer]
  std::array<Duration, kStallCauses> stalls{};
  int64_t on_gpu = 0;
  int64_t on_cpu = 0;
  int64_t deferred = 0;
  Bytes demanded;    // copied for misses
  Bytes prefetched;  // copied ahead of need
  Duration gpu;      // computing experts
  Periods bus;
  Periods dram;
};

// [period] of both, over so many GPUs and servers.
std::vector<OffloadPeriod> over_time(const OffloadSums& sums, int32_t gpus, int32_t nodes);

std::vector<OffloadLayerResult> layer_results(const OffloadSums& sums, const std::vector<int32_t>& model_layer,
                                              int64_t steps, int32_t gpus);

}  // namespace moesim
