// A timeline in the Chrome trace-event format, which Perfetto (ui.perfetto.dev) and chrome://tracing open: one process
// a GPU, one thread a stream, one slice a task.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/moe/step_graph.h"

namespace moesim {

struct Slice {
  Time start;
  Time end;
  StreamId stream{};
  uint32_t label = 0;
  int32_t step = 0;
};

struct Timeline {
  std::vector<Slice> slices;
  bool truncated = false;  // later steps are left out, so that memory does not grow with the length of the run
};

// Whole steps are added until this many slices are reached.
constexpr size_t kTimelineSlicesMax = 400'000;

void add_step(Timeline& timeline, const TaskGraph& graph, const std::vector<TaskTimes>& times, int32_t step);

// `gpu_names` label the processes. Times are microseconds, as the format has them.
std::string timeline_json(const Timeline& timeline, const std::vector<std::string>& gpu_names);

}  // namespace moesim
