// Files of format moe-flow-oracle-1: directed links and flows over them, in SI units, for which other simulators or
// exact solvers have written down when each flow is done.
//
//   {"format": "moe-flow-oracle-1",
//    "links": [{"id": 7, "capacity": 50e9, "latency": 5e-7}],                             B/s, s
//    "flows": [{"id": 3, "path": [7], "bytes": 1000000, "start": 0, "finish": 2.05e-5}],  s; finish may be missing
//    "makespan": 2.05e-5}                                                                 s; may be missing
//
// Ids are whole numbers in any order, with any gaps. Other keys describe the case and are not looked at.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/json.h"
#include "sim/net/flow_problem.h"

namespace moesim {

struct FlowFile {
  FlowProblem problem;
  std::vector<int64_t> link_ids;                // as in the file, in its order
  std::vector<int64_t> flow_ids;                // likewise
  std::vector<std::optional<double>> finish_s;  // the answers that the file knows
  std::optional<double> makespan_s;
};

// Throw one ConfigError with all faults.
FlowFile read_flow_file(const JsonNode& root, const std::string& source);
FlowFile read_flow_file(const std::filesystem::path& path);

struct FlowFileAnswer {
  double makespan_s = 0;
  std::vector<double> finish_s;  // of each flow, in the file's order
};

FlowFileAnswer solve_flow_file(const FlowFile& file, Fidelity fidelity);

}  // namespace moesim
