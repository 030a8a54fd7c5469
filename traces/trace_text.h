// A trace in words, numbers and a picture, for a terminal of 100 columns.
#pragma once

#include <string>

#include "traces/trace_statistics.h"

namespace moesim {

enum class Glyphs { unicode, ascii };

// Shape, what was recorded, one line a layer with its skew, its affinity to the next layer and a strip of its experts'
// load, and the skew within each domain. Ends with a line feed.
std::string trace_info(const TraceStatistics& trace, Glyphs glyphs);

// The same shape, then all statistics as tables.
std::string trace_report(const TraceStatistics& trace);

// The loads of a layer, shown on this many columns at most.
inline constexpr size_t kStripColumns = 64;

}  // namespace moesim
