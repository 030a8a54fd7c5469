#include "sim/run/timeline_file.h"

#include <fmt/format.h>  // core.h alone does not link format_to() under clang

#include <algorithm>
#include <iterator>
#include <set>
#include <span>

#include "sim/config/json_text.h"
#include "sim/run/link_use.h"
#include "sim/run/names.h"

namespace moesim {
namespace {

constexpr const char* kLaneNames[kLanes] = {"compute", "dispatch",  "combine",    "host launches",
                                            "weights", "copies in", "copies out", "CPU"};

double microseconds(Duration duration) { return double(duration.ps) * 1e-6; }

void name_row(std::string& out, const char* what, int32_t gpu, int32_t lane, const std::string& name) {
  fmt::format_to(std::back_inserter(out),
                 "{{\"ph\":\"M\",\"name\":\"{}\",\"pid\":{},\"tid\":{},\"args\":{{\"name\":{}}}}},\n", what, gpu, lane,
                 compact_json_text(name));
}

// One track a link, whose height is how much of the link is used.
void add_counters(std::string& out, const RunRecord& record, const Results& results) {
  const Topology& topology = record.topology;
  const LinkRecorder& recorder = *record.over_time;
  const int32_t process = results.gpus;  // after those of the GPUs
  const std::vector<LinkId> busiest = busiest_links(topology.links, record.use);
  if (!busiest.empty()) name_row(out, "process_name", process, 0, "busiest links");
  for (const LinkId link : std::span(busiest).first(std::min(busiest.size(), kTimelineLinks))) {
    const std::string name = compact_json_text(link_name(topology, link));
    const std::vector<double>& bytes = recorder.bytes(link);
    double before = -1;
    for (size_t bucket = 0; bucket <= bytes.size(); ++bucket) {
      const Time begin = Time{} + int64_t(bucket) * recorder.width();
      const bool over = bucket == bytes.size() || begin >= record.end;
      const double used = over ? 0
                               : utilisation(bytes[bucket], topology.links[index(link)].capacity,
                                             std::min(recorder.width(), record.end - begin));
      if (used != before)
        fmt::format_to(std::back_inserter(out),
                       "{{\"ph\":\"C\",\"name\":{},\"pid\":{},\"ts\":{:.6f},\"args\":{{\"used\":{:.4f}}}}},\n", name,
                       process, microseconds(std::min(begin, record.end) - Time{}), used);
      before = used;
      if (over) break;
    }
  }
}

}  // namespace

std::string timeline_json(const RunRecord& record, const Results& results) {
  const Timeline& timeline = record.timeline;
  std::string out = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
  std::set<StreamId> used;
  for (const Slice& slice : timeline.slices) used.insert(slice.stream);
  for (const GpuResult& gpu : results.gpu_list) name_row(out, "process_name", gpu.gpu, 0, gpu.name);
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
  add_counters(out, record, results);
  const std::string note = timeline.truncated ? "later steps are left out" : "all steps";
  out += fmt::format("{{\"ph\":\"M\",\"name\":\"moesim\",\"pid\":0,\"args\":{{\"note\":\"{}\"}}}}\n]}}\n", note);
  return out;
}

}  // namespace moesim
