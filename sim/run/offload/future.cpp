#include "sim/run/offload/future.h"

#include <algorithm>

namespace moesim {

FutureUses::FutureUses(const RoutingSource& source, const Batch& batch, const Layout& layout,
                       const HostedExperts& hosted, int32_t horizon, int32_t steps)
    : source_(source), batch_(batch), layout_(layout), hosted_(hosted), horizon_(horizon), steps_(steps) {
  gpus_.resize(size_t(layout.gpus));
  const size_t items = size_t(hosted.layers) * size_t(hosted.experts);
  for (Gpu& gpu : gpus_) {
    gpu.uses.resize(items);
    gpu.next.assign(items, kNeverUsed);
  }
}

void FutureUses::begin_step(int64_t step) {
  step_ = step;
  while (seen_ < std::min(step + horizon_, steps_)) look(seen_++);
}

void FutureUses::begin_layer(GpuId gpu, int32_t layer) {
  const int64_t turn = step_ * hosted_.layers + layer;
  Gpu& of = gpus_[index(gpu)];
  for (const int32_t expert : hosted_.of(layout_, gpu, layer)) {
    const size_t item = size_t(hosted_.item(layer, expert));
    std::deque<int64_t>& uses = of.uses[item];
    while (!uses.empty() && uses.front() <= turn) uses.pop_front();
    of.next[item] = uses.empty() ? kNeverUsed : uses.front();
  }
}

void FutureUses::find_needed(const StepRouting& routing, int32_t group, int32_t layer,
                             std::vector<uint8_t>& needed) const {
  needed.assign(size_t(hosted_.experts), 0);
  const size_t first_gpu = size_t(group) * size_t(layout_.ep);
  const size_t end_gpu = first_gpu + size_t(layout_.ep);
  if (routing.is_counts()) {
    const std::vector<int64_t>& counts = routing.counts[size_t(layer)];
    for (size_t at = first_gpu * needed.size(); at < end_gpu * needed.size(); ++at)
      if (counts[at] > 0) needed[at % needed.size()] = 1;
    return;
  }
  for (int64_t token = routing.first_token[first_gpu]; token < routing.first_token[end_gpu]; ++token)
    for (const uint16_t expert : routing.choices(layer, token))
      if (expert != kNoExpert) needed[expert] = 1;
}

void FutureUses::look(int64_t step) {
  const StepRouting routing = route_step(source_, batch_, layout_, step);
  std::vector<uint8_t> needed;
  for (int32_t group = 0; group < layout_.expert_groups(); ++group)
    for (int32_t layer = 0; layer < hosted_.layers; ++layer) {
      find_needed(routing, group, layer, needed);
      for (int32_t rank = 0; rank < layout_.ep; ++rank) {
        Gpu& gpu = gpus_[index(layout_.gpu_of_expert_rank(group, rank))];
        for (const int32_t expert : hosted_.of_rank[size_t(rank)][size_t(layer)]) {
          if (needed[size_t(expert)] == 0) continue;
          const size_t item = size_t(hosted_.item(layer, expert));
          const int64_t turn = step * hosted_.layers + layer;
          if (!gpu.uses[item].empty() && gpu.uses[item].back() == turn) continue;  // it has two copies here
          gpu.uses[item].push_back(turn);
          gpu.next[item] = gpu.uses[item].front();
        }
      }
    }
}

}  // namespace moesim
