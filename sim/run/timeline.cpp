#include "sim/run/timeline.h"

#include <fmt/format.h>  // core.h alone does not link format_to() under clang

#include <algorithm>
#include <iterator>
#include <set>

#include "sim/config/json_text.h"
#include "sim/run/names.h"

namespace moesim {
namespace {

constexpr const char* kLaneNames[kLanes] = {"compute", "dispatch", "combine"};

double microseconds(Duration duration) { return double(duration.ps) * 1e-6; }

void name_row(std::string& out, const char* what, int32_t gpu, int32_t lane, const std::string& name) {
  fmt::format_to(std::back_inserter(out),
                 "{{\"ph\":\"M\",\"name\":\"{}\",\"pid\":{},\"tid\":{},\"args\":{{\"name\":{}}}}},\n", what, gpu, lane,
                 compact_json_text(name));
}

}  // namespace

void add_step(Timeline& timeline, const TaskGraph& graph, const std::vector<TaskTimes>& times, int32_t step) {
  if (timeline.truncated || timeline.slices.size() + times.size() > kTimelineSlicesMax) {
    timeline.truncated = true;
    return;
  }
  for (size_t t = 0; t < times.size(); ++t)
    if (times[t].start < times[t].end)
      timeline.slices.push_back({times[t].start, times[t].end, graph.tasks[t].stream, graph.tasks[t].label, step});
}

std::string timeline_json(const Timeline& timeline, const std::vector<std::string>& gpu_names) {
  std::string out = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
  std::set<StreamId> used;
  for (const Slice& slice : timeline.slices) used.insert(slice.stream);
  for (size_t gpu = 0; gpu < gpu_names.size(); ++gpu) name_row(out, "process_name", int32_t(gpu), 0, gpu_names[gpu]);
  for (const StreamId stream : used)
    name_row(out, "thread_name", int32_t(stream) / int32_t(kLanes), int32_t(stream) % int32_t(kLanes),
             kLaneNames[index(stream) % kLanes]);
  for (const Slice& slice : timeline.slices) {
    const TaskLabel label = unpack_label(slice.label);
    fmt::format_to(std::back_inserter(out),
                   "{{\"ph\":\"X\",\"name\":\"{}\",\"cat\":\"{}\",\"pid\":{},\"tid\":{},\"ts\":{:.6f},\"dur\":{:.6f},"
                   "\"args\":{{\"step\":{},\"layer\":{},\"part\":{}}}}},\n",
                   name_of(label.operation), is_communication(label.operation) ? "communication" : "compute",
                   int32_t(slice.stream) / int32_t(kLanes), int32_t(slice.stream) % int32_t(kLanes),
                   microseconds(slice.start - Time{}), microseconds(slice.end - slice.start), slice.step, label.layer,
                   label.part);
  }
  const std::string note = timeline.truncated ? "later steps are left out" : "all steps";
  out += fmt::format("{{\"ph\":\"M\",\"name\":\"moesim\",\"pid\":0,\"args\":{{\"note\":\"{}\"}}}}\n]}}\n", note);
  return out;
}

}  // namespace moesim
