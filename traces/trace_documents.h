// The documents of a trace: its requests, or stretches of a domain where requests are not recorded.
#pragma once

#include <cstdint>
#include <vector>

#include "traces/statistics.h"

namespace moesim {

struct TraceDocument {
  int32_t domain = 0;
  int64_t tokens = 0;
  std::vector<TokenRange> stretches;  // in order; several where requests lie between each other
};

// In the order in which they begin. Only /request and /domain are looked at.
std::vector<TraceDocument> trace_documents(const RoutingTrace& trace);

}  // namespace moesim
