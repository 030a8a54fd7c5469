#include "sim/run/offload/accounts.h"

#include <algorithm>

namespace moesim {
namespace {

constexpr size_t kPeriodsMax = 64;

double ratio(int64_t part, int64_t whole) { return whole == 0 ? 0 : double(part) / double(whole); }

}  // namespace

void Periods::add(Time when, Bytes bytes) {
  while (size_t(when.ps / length_.ps) >= kPeriodsMax) {
    for (size_t pair = 0; 2 * pair < sums_.size(); ++pair) {
      sums_[pair] = sums_[2 * pair];
      if (2 * pair + 1 < sums_.size()) sums_[pair] += sums_[2 * pair + 1];
    }
    sums_.resize((sums_.size() + 1) / 2);
    length_ = 2 * length_;
  }
  const size_t period = size_t(when.ps / length_.ps);
  if (period >= sums_.size()) sums_.resize(period + 1);
  sums_[period] += bytes;
}

std::vector<OffloadPeriod> over_time(const OffloadSums& sums, int32_t gpus, int32_t nodes) {
  // Both are brought to the longer of the two periods; each is a power of two times the same.
  const Duration length = std::max(sums.bus.length(), sums.dram.length());
  std::vector<OffloadPeriod> periods;
  const auto add = [&](const Periods& from, double OffloadPeriod::* to, int32_t among) {
    for (size_t period = 0; period < from.sums().size(); ++period) {
      const size_t into = size_t(int64_t(period) * from.length().ps / length.ps);
      if (into >= periods.size()) periods.resize(into + 1);
      periods[into].*to += double(from.sums()[period].count) / length.seconds() / among;
    }
  };
  add(sums.bus, &OffloadPeriod::bus, gpus);
  add(sums.dram, &OffloadPeriod::dram, nodes);
  for (size_t period = 0; period < periods.size(); ++period)
    periods[period].begin_s = double(period) * length.seconds();
  return periods;
}

std::vector<OffloadLayerResult> layer_results(const OffloadSums& sums, const std::vector<int32_t>& model_layer,
                                              int64_t steps, int32_t gpus) {
  std::vector<OffloadLayerResult> results;
  for (size_t layer = 0; layer < sums.layers.size(); ++layer) {
    const OffloadLayerSums& of = sums.layers[layer];
    OffloadLayerResult result;
    result.layer = model_layer[layer];
    result.accesses = of.accesses;
    result.hit_rate = ratio(of.hits, of.accesses);
    result.late = of.late;
    result.evicted = of.evicted;
    result.cold = of.cold;
    if (of.forecast > 0) result.recall = ratio(of.recalled, of.forecast);
    result.stall_s = steps == 0 ? 0 : of.stall.seconds() / double(steps * gpus);
    results.push_back(result);
  }
  return results;
}

}  // namespace moesim
