// When experts will be needed, for caches that read the future.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "sim/run/offload/hosted.h"
#include "sim/run/routing_source.h"

namespace moesim {

class FutureUses {
 public:
  // All must outlive it. Looks `horizon` steps ahead, and not beyond `steps`.
  FutureUses(const RoutingSource& source, const Batch& batch, const Layout& layout, const HostedExperts& hosted,
             int32_t horizon, int32_t steps);

  void begin_step(int64_t step);
  void begin_layer(GpuId gpu, int32_t layer);  // its uses are past

  // [item] turns, step * layers + layer; kNeverUsed beyond the horizon.
  std::span<const int64_t> next_use(GpuId gpu) const { return gpus_[index(gpu)].next; }

 private:
  struct Gpu {
    std::vector<std::deque<int64_t>> uses;  // [item] turns, rising
    std::vector<int64_t> next;              // [item]
  };

  // [expert] whether tokens of the group need it.
  void find_needed(const StepRouting& routing, int32_t group, int32_t layer, std::vector<uint8_t>& needed) const;
  void look(int64_t step);

  const RoutingSource& source_;
  const Batch& batch_;
  const Layout& layout_;
  const HostedExperts& hosted_;
  int64_t horizon_;
  int64_t steps_;
  int64_t step_ = 0;
  int64_t seen_ = 0;  // steps looked at
  std::vector<Gpu> gpus_;
};

}  // namespace moesim
