// A trace in words, numbers and a picture, for a terminal of 100 columns.
#pragma once

#include <string>

#include "traces/routing_trace.h"

namespace moesim {

enum class Glyphs { unicode, ascii };

// Shape, what was recorded, one line a layer with its skew, its affinity to the next layer and a strip of its experts'
// load, and the skew within each domain. Ends with a line feed.
std::string trace_info(const RoutingTrace& trace, Glyphs glyphs = Glyphs::unicode);

}  // namespace moesim
