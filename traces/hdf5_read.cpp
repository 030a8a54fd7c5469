#include "traces/hdf5_file.h"
#include "traces/trace_reader.h"

namespace moesim {

RoutingTrace read_hdf5_trace(const std::string& path, const ChildLimits& limits) {
  TraceReader reader(path, limits);
  RoutingTrace trace = reader.head().about;
  if (const std::vector<Fault> faults = check_shape(trace); !faults.empty()) throw ConfigError(path, faults);
  RoutingTrace arrays = reader.read(all_tokens(trace), {});
  arrays.model = trace.model;
  arrays.source = trace.source;
  arrays.recorded = trace.recorded;
  arrays.layer_numbers = trace.layer_numbers;
  return arrays;
}

}  // namespace moesim
