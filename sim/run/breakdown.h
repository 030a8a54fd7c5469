// Where the time of a step went, from the times of its tasks.
#pragma once

#include <array>
#include <vector>

#include "sim/moe/layout.h"
#include "sim/moe/schedule.h"
#include "sim/moe/step_graph.h"

namespace moesim {

// Times of one GPU in one step. Exposed times, and idle, sum to the step exactly: each instant counts under the
// kernel that computes, else under what the CPU does for the GPU, else under the collective or copy that runs, else as
// idle; the one that started first among several.
struct GpuTimes {
  std::array<Duration, kOperations> exposed{};
  std::array<Duration, kOperations> hidden{};
  Duration idle;
};

// [gpu]; `begin` and `end` are the step's.
std::vector<GpuTimes> gpu_times(const TaskGraph& graph, const std::vector<TaskTimes>& times, const Layout& layout,
                                Time begin, Time end);

// [layer of the model]: from the start of its first task to the end of its last.
std::vector<Duration> layer_times(const TaskGraph& graph, const std::vector<TaskTimes>& times, int32_t layers);

}  // namespace moesim
