// What the host of a GPU does for a layer where launches are eager, as a loop over experts does it in PyTorch: it
// launches the copies, one after another, then the kernels of the GPU's experts; then its threads compute the CPU's
// experts. It launches what follows the layer's experts when it is done.
#include <algorithm>

#include "models/cost_model.h"
#include "sim/run/offload/gpu.h"

namespace moesim {

void OffloadGpu::begin_host(GraphId graph, TaskId task) {
  if (!host_waits_) {
    host_task_ = {graph, task};
    return;
  }
  host_waits_ = false;
  shared_.executor.worked_outside(graph, task);
}

void OffloadGpu::launch_copy(ExpertItem item) {
  if (!shared_.costs.launches()) return;
  host_free_ = host_free_ + shared_.costs.launches()->copy;
  shared_.sim.at<&OffloadGpu::copy_launched>(host_free_, *this, uint64_t(item));
}

void OffloadGpu::copy_launched(uint64_t item) {
  Copy& copy = copies_[size_t(item)];
  copy.launched = true;
  engine_.feed(copy.id, socket_.store->ready(ExpertItem(item)));
}

// Those that are there first.
void OffloadGpu::launch_experts() {
  const auto& launches = shared_.costs.launches();
  if (!launches) return;
  std::stable_partition(queue_.begin(), queue_.end(),
                        [&](const Queued& queued) { return level_.present(queued.item); });
  for (Queued& queued : queue_) {
    queued.first_launch = host_free_ + time_of_launch(launches->expert, launches->kernels, 0);
    queued.last_launch = host_free_ = host_free_ + launches->expert;
  }
}

// Until an expert is done that takes so long once all its kernels are launched: each waits for its launch.
Duration OffloadGpu::launched_time(const Queued& queued, Duration time) const {
  const int32_t kernels = shared_.costs.launches()->kernels;
  const Time now = shared_.sim.now();
  const Time end = std::max(now, queued.first_launch) + time;
  return std::max(end, queued.last_launch + time_of_launch(time, kernels, kernels - 1)) - now;
}

// Where it has launched all, and its threads have computed what the layer waits for.
void OffloadGpu::end_host() {
  if (!host_open_ || shared_.sim.now() < host_free_ || cpu_left_ > 0) return;
  host_open_ = false;
  if (!host_task_) {
    host_waits_ = true;
    return;
  }
  shared_.executor.worked_outside(host_task_->graph, host_task_->task);
  host_task_.reset();
}

}  // namespace moesim
