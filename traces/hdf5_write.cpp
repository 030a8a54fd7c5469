#include "sim/core/check.h"
#include "traces/hdf5_file.h"
#include "traces/trace_writer.h"

namespace moesim {

void write_hdf5_trace(const RoutingTrace& trace, const std::string& path) {
  CHECK(check_trace(trace).empty());
  TraceWriter writer(head_of(trace), path);
  writer.append(trace);
  writer.finish();
}

}  // namespace moesim
