// COIN-OR CBC, by its program cbc where PATH has it.

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "sim/config/atomic_file.h"
#include "sim/config/error.h"
#include "sim/policy/ilp/model_file.h"
#include "sim/policy/ilp/process.h"

namespace moesim {
namespace {

constexpr int64_t kFileBytesMax = int64_t{1} << 28;

struct CbcOptions {
  Duration timeout = 600_s;
};

template <class Visitor>
void fields(Visitor& v, CbcOptions& s) {
  v.optional("timeout", s.timeout, above(Duration{}), "wall time after which it is killed, as it seems to hang");
}

// What follows a label on a line of its log, such as "Lower bound:   12.5".
double number_after(const std::string& log, const char* label, double otherwise) {
  const size_t at = log.rfind(label);
  if (at == std::string::npos) return otherwise;
  const size_t begin = log.find_first_not_of(' ', at + std::string_view(label).size());
  if (begin == std::string::npos) return otherwise;
  double value = otherwise;
  std::from_chars(log.data() + begin, log.data() + log.size(), value);
  return value;
}

std::string command_line(const IlpCall& call, const TemporaryFolder& folder) {
  write_file_atomically(folder.file("model.mps"), mps_text(call.problem));
  std::string command = fmt::format("exec cbc '{}' -threads 0 -ratioGap {} -maxNodes {}",
                                    folder.file("model.mps").string(), call.limits.gap, call.limits.nodes);
  if (!call.problem.start.empty()) {
    write_file_atomically(folder.file("start.txt"), mip_start_text(call.problem));
    command += fmt::format(" -mipstart '{}'", folder.file("start.txt").string());
  }
  if (call.limits.wall_seconds) command += fmt::format(" -timeMode elapsed -seconds {}", *call.limits.wall_seconds);
  return command + fmt::format(" -solve -solution '{}'", folder.file("solution.txt").string());
}

IlpSolution read_answer(const IlpCall& call, const TemporaryFolder& folder) {
  IlpSolution solution = read_solution(call.problem, read_text_file(folder.file("solution.txt"), kFileBytesMax));
  const std::string log = read_text_file(folder.file("output.txt"), kFileBytesMax);
  solution.nodes = int64_t(number_after(log, "Enumerated nodes:", 0));
  if (solution.status == IlpStatus::optimal) {
    const double objective = objective_of(call.problem, solution.values);
    solution.bound = std::min(number_after(log, "Lower bound:", objective), objective);
  } else {
    solution.bound = number_after(log, "Lower bound:", -kNoEnd);
  }
  solution.wall_limited = log.find("Stopped on time") != std::string::npos;
  return solution;
}

IlpSolution solve_by_cbc(const IlpCall& call, const CbcOptions& options, Rng&) {
  IlpSolution solution;
  if (!has_program("cbc")) {
    solution.text = "cbc is not in PATH (Debian's package coinor-cbc has it)";
    return solution;
  }
  const TemporaryFolder folder;
  const double seconds = std::max(double(options.timeout.ps) * 1e-12, call.limits.wall_seconds.value_or(0) + 5);
  const ProcessEnd end = run_process(command_line(call, folder), folder.file("output.txt"), seconds);
  try {
    if (end.text.empty())
      solution = read_answer(call, folder);
    else
      solution.text = end.text;
  } catch (const ConfigError& error) {  // of a file that it has not written
    solution.text = error.what();
  }
  if (!solution.text.empty()) solution.text = "cbc " + solution.text;
  solution.wall_limited |= end.wall_limited;
  solution.interrupted = end.interrupted;
  return solution;
}

[[maybe_unused]] const bool registered =
    Registry<IlpSolver>::instance().add("cbc", "COIN-OR CBC, where its program is installed", solve_by_cbc);

}  // namespace
}  // namespace moesim
