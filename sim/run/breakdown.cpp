#include "sim/run/breakdown.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {
namespace {

struct Interval {
  Time start;
  Time end;
  Operation operation;
};

// Which of several operations at once is shown: kernels of the GPU, else work of the CPU, else what travels.
int rank_of(Operation operation) { return is_communication(operation) ? 0 : is_on_cpu(operation) ? 1 : 2; }

// Attributes [from, to) to the intervals that cover it.
void attribute(const std::vector<Interval>& running, Time from, Time to, GpuTimes& gpu) {
  const Duration length = to - from;
  if (length == Duration{}) return;
  const Interval* shown = nullptr;
  for (const Interval& interval : running)  // in order of start
    if (shown == nullptr || rank_of(interval.operation) > rank_of(shown->operation)) shown = &interval;
  if (shown == nullptr) {
    gpu.idle += length;
    return;
  }
  gpu.exposed[size_t(shown->operation)] += length;
  for (const Interval& interval : running)
    if (&interval != shown) gpu.hidden[size_t(interval.operation)] += length;
}

// Sweeps over one GPU's intervals; few run at once, one a lane.
GpuTimes sweep(std::vector<Interval>& intervals, Time begin, Time end) {
  std::stable_sort(intervals.begin(), intervals.end(),
                   [](const Interval& a, const Interval& b) { return a.start < b.start; });
  GpuTimes gpu;
  std::vector<Interval> running;
  Time now = begin;
  const auto advance = [&](Time to) {
    while (!running.empty()) {
      const auto first = std::min_element(running.begin(), running.end(),
                                          [](const Interval& a, const Interval& b) { return a.end < b.end; });
      if (first->end > to) break;
      const Time ended = first->end;
      attribute(running, now, ended, gpu);
      now = ended;
      running.erase(first);
    }
    attribute(running, now, to, gpu);
    now = to;
  };
  for (const Interval& interval : intervals) {
    advance(interval.start);
    running.push_back(interval);
  }
  advance(end);
  CHECK(running.empty());
  return gpu;
}

}  // namespace

std::vector<GpuTimes> gpu_times(const TaskGraph& graph, const std::vector<TaskTimes>& times, const Layout& layout,
                                Time begin, Time end) {
  std::vector<std::vector<Interval>> intervals(size_t(layout.gpus));
  for (size_t t = 0; t < times.size(); ++t) {
    const bool is_of_host = index(graph.tasks[t].stream) % kLanes == size_t(Lane::host);
    if (is_of_host || times[t].start == times[t].end) continue;
    const size_t gpu = index(graph.tasks[t].stream) / kLanes;
    intervals[gpu].push_back({times[t].start, times[t].end, unpack_label(graph.tasks[t].label).operation});
  }
  std::vector<GpuTimes> all;
  for (std::vector<Interval>& of_gpu : intervals) all.push_back(sweep(of_gpu, begin, end));
  return all;
}

std::vector<Duration> layer_times(const TaskGraph& graph, const std::vector<TaskTimes>& times, int32_t layers) {
  std::vector<Time> first(size_t(layers), Time{INT64_MAX});
  std::vector<Time> last(size_t(layers), Time{});
  for (size_t t = 0; t < times.size(); ++t) {
    const size_t layer = size_t(unpack_label(graph.tasks[t].label).layer);
    first[layer] = std::min(first[layer], times[t].start);
    last[layer] = std::max(last[layer], times[t].end);
  }
  std::vector<Duration> lengths;
  for (size_t layer = 0; layer < first.size(); ++layer)
    lengths.push_back(first[layer] > last[layer] ? Duration{} : last[layer] - first[layer]);
  return lengths;
}

}  // namespace moesim
