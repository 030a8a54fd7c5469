// The timeline of a run in the Chrome trace-event format, which Perfetto (ui.perfetto.dev) and chrome://tracing open:
// one process a GPU, one thread a stream, one slice a task, and the use of the busiest links as counters.
#pragma once

#include <string>

#include "sim/run/results.h"
#include "sim/run/run_record.h"

namespace moesim {

inline constexpr size_t kTimelineLinks = 8;

// Times are microseconds, as the format has them.
std::string timeline_json(const RunRecord& record, const Results& results);

}  // namespace moesim
