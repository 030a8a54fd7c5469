// The statistics of a routing trace as a drawing, and as a page that needs nothing but itself.
#pragma once

#include <string>

#include "traces/trace_statistics.h"

namespace moesim {

// The load of each expert in each layer as colours, and beside it bars: hottest expert, mutual information, prediction
// by token id, drift. An SVG.
std::string trace_picture(const TraceStatistics& trace);

// One HTML file: the picture and tables of all statistics, no scripts, nothing loaded from elsewhere.
std::string trace_page(const TraceStatistics& trace);

}  // namespace moesim
