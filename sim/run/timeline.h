// What each stream of each GPU did when. timeline_file.h writes it.
#pragma once

#include <cstdint>
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

void add_slice(Timeline& timeline, const Slice& slice);
void add_step(Timeline& timeline, const TaskGraph& graph, const std::vector<TaskTimes>& times, int32_t step);

}  // namespace moesim
