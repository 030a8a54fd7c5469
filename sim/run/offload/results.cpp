// What a run with offloaded experts reports, and what it is held against.
#include <fmt/core.h>

#include <algorithm>

#include "sim/config/error.h"
#include "sim/config/units_text.h"
#include "sim/core/check.h"
#include "sim/run/offload/offload.h"

namespace moesim {
namespace {

double ratio(int64_t part, int64_t whole) { return whole == 0 ? 0 : double(part) / double(whole); }

// Over the servers.
std::vector<OffloadTierResult> sum_of(const std::vector<std::unique_ptr<HostStore>>& stores) {
  std::vector<OffloadTierResult> sums = stores.front()->results();
  for (size_t node = 1; node < stores.size(); ++node) {
    const std::vector<OffloadTierResult> more = stores[node]->results();
    for (size_t tier = 0; tier < sums.size(); ++tier) {
      sums[tier].bytes += more[tier].bytes;
      sums[tier].hit_rate += more[tier].hit_rate;
    }
  }
  for (OffloadTierResult& tier : sums) tier.hit_rate /= double(stores.size());
  return sums;
}

}  // namespace

OffloadResult Offload::result(int64_t steps, Duration total) const {
  OffloadResult result;
  result.cache = config_.cache.name();
  result.prefetch = config_.prefetch.name();
  result.schedule = config_.schedule.name();
  const double gpu_steps = double(std::max<int64_t>(1, steps) * int64_t(gpus_.size()));
  int64_t hits = 0;
  int64_t forecast = 0;
  int64_t recalled = 0;
  for (const OffloadLayerSums& layer : sums_.layers) {
    result.accesses += layer.accesses;
    hits += layer.hits;
    forecast += layer.forecast;
    recalled += layer.recalled;
  }
  result.hit_rate = ratio(hits, result.accesses);
  if (forecast > 0) result.recall = ratio(recalled, forecast);
  result.on_gpu = sums_.on_gpu;
  result.on_cpu = sums_.on_cpu;
  result.deferred = sums_.deferred;
  result.demand_bytes = sums_.demanded.count;
  result.prefetch_bytes = sums_.prefetched.count;
  result.capacity = INT64_MAX;
  for (const auto& gpu : gpus_) {
    const ExpertLevel& level = gpu->level();
    Bytes hosted;
    for (const Bytes bytes : level.shape().item_bytes) hosted += bytes;
    result.capacity = std::min(result.capacity, level.capacity().count);
    result.resident += std::min(1.0, ratio(level.capacity().count, hosted.count)) / double(gpus_.size());
    result.unused_prefetch_bytes += level.unused_prefetches().count;
    result.evictions += level.evictions();
    if (total > Duration{})
      // Where a run was stopped, copies went on after its last whole step.
      result.bus_utilisation += std::min(1.0, gpu->engine().busy().seconds() / total.seconds()) / double(gpus_.size());
  }
  int64_t used = 0;
  for (const OffloadSocket& socket : sockets_) {
    if (socket.cpu->busy() == Duration{}) continue;
    ++used;
    result.cpu_s += socket.cpu->busy().seconds() / double(std::max<int64_t>(1, steps));
  }
  if (used > 0) result.cpu_s /= double(used);
  result.gpu_s = sums_.gpu.seconds() / gpu_steps;
  const auto stall = [&](StallCause cause) { return sums_.stalls[size_t(cause)].seconds() / gpu_steps; };
  result.stalls = {stall(StallCause::copy), stall(StallCause::late), stall(StallCause::cpu)};
  result.tiers = sum_of(stores_);
  result.layers = layer_results(sums_, model_layer_, steps, int32_t(gpus_.size()));
  result.over_time = over_time(sums_, int32_t(gpus_.size()), int32_t(stores_.size()));
  return result;
}

}  // namespace moesim
