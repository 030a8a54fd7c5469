// What `moesim net` is asked to solve: a file of flows, or a case of the common work set.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/cli/command.h"
#include "sim/net/flow_problem.h"
#include "sim/net/work_set.h"

namespace moesim {

struct WorkSetCase {
  Workload workload = Workload::a2a;
  int32_t hosts = 64;
  int32_t oversubscription = 1;
};

struct NetJob {
  FlowProblem problem;
  MessageNetworkOptions options;
  std::function<std::string(LinkId)> link_name;
  std::optional<WorkSetCase> work_set;          // where it is one
  std::unique_ptr<PathFinder> wiring;           // of a work set whose paths a policy chooses
  std::vector<int64_t> flow_ids;                // of a file
  std::vector<std::optional<double>> finish_s;  // the answers that a file knows
};

po::options_description net_job_options();

// Throws one ConfigError with all that is wrong with the command line; then reads the file or makes the flows.
NetJob net_job(const po::variables_map& given, const std::vector<std::string>& positional);

}  // namespace moesim
