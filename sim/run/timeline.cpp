#include "sim/run/timeline.h"

namespace moesim {

void add_slice(Timeline& timeline, const Slice& slice) {
  if (timeline.slices.size() == kTimelineSlicesMax) timeline.truncated = true;
  if (!timeline.truncated) timeline.slices.push_back(slice);
}

void add_step(Timeline& timeline, const TaskGraph& graph, const std::vector<TaskTimes>& times, int32_t step) {
  if (timeline.truncated || timeline.slices.size() + times.size() > kTimelineSlicesMax) {
    timeline.truncated = true;
    return;
  }
  for (size_t t = 0; t < times.size(); ++t)
    if (times[t].start < times[t].end)
      timeline.slices.push_back({times[t].start, times[t].end, graph.tasks[t].stream, graph.tasks[t].label, step});
}

}  // namespace moesim
