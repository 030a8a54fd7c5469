// Any solver that reads a model from a file and writes a solution to one, by its command line.

#include <fmt/core.h>

#include <functional>

#include "sim/config/atomic_file.h"
#include "sim/config/error.h"
#include "sim/policy/ilp/model_file.h"
#include "sim/policy/ilp/process.h"

namespace moesim {
namespace {

constexpr int64_t kSolutionBytesMax = int64_t{1} << 28;

struct CommandOptions {
  std::string command;
  Duration timeout = 60_s;
};

template <class Visitor>
void fields(Visitor& v, CommandOptions& s) {
  v.required(
      "command", s.command,
      "run by the shell; {mps} (free MPS) or {lp} is the model's file, {solution} the file it must write; {nodes} and "
      "{gap} are the limits");
  v.optional("timeout", s.timeout, above(Duration{}), "wall time after which it is killed, as it seems to hang");
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

void check_fields(const CommandOptions& s, const std::function<void(std::string key, std::string message)>& fault) {
  if (!contains(s.command, "{solution}")) fault("command", "must name the solution's file: {solution}");
  if (!contains(s.command, "{mps}") && !contains(s.command, "{lp}"))
    fault("command", "must name the model's file: {mps} or {lp}");
}

// Writes the file where the command names it.
void fill_in(std::string& command, const std::string& placeholder, const std::string& text) {
  for (size_t at = command.find(placeholder); at != std::string::npos; at = command.find(placeholder, at + text.size()))
    command.replace(at, placeholder.size(), text);
}

std::string quoted(const std::filesystem::path& path) {
  std::string text = "'";
  for (const char c : path.string()) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string command_line(const IlpCall& call, const TemporaryFolder& folder, std::string command) {
  if (contains(command, "{mps}")) write_file_atomically(folder.file("model.mps"), mps_text(call.problem));
  if (contains(command, "{lp}")) write_file_atomically(folder.file("model.lp"), lp_text(call.problem));
  fill_in(command, "{mps}", quoted(folder.file("model.mps")));
  fill_in(command, "{lp}", quoted(folder.file("model.lp")));
  fill_in(command, "{solution}", quoted(folder.file("solution.txt")));
  fill_in(command, "{nodes}", fmt::format("{}", call.limits.nodes));
  fill_in(command, "{gap}", fmt::format("{}", call.limits.gap));
  return command;
}

IlpSolution solve_by_command(const IlpCall& call, const CommandOptions& options, Rng&) {
  const TemporaryFolder folder;
  const double timeout = double(options.timeout.ps) * 1e-12;
  const double seconds = std::min(timeout, call.limits.wall_seconds.value_or(timeout));
  const ProcessEnd end = run_process(command_line(call, folder, options.command), folder.file("output.txt"), seconds);
  IlpSolution solution;
  solution.text = end.text;
  if (std::error_code error; std::filesystem::is_regular_file(folder.file("solution.txt"), error)) {
    try {
      solution = read_solution(call.problem, read_text_file(folder.file("solution.txt"), kSolutionBytesMax));
    } catch (const ConfigError& error_of_file) {  // such as one that is too long
      solution.text = error_of_file.what();
    }
    if (!end.text.empty()) solution.text = end.text;
  } else if (end.text.empty()) {
    solution.text = "has written no solution";
  }
  solution.wall_limited = end.wall_limited;
  solution.interrupted = end.interrupted;
  solution.solver = options.command;
  if (!solution.text.empty()) solution.text = fmt::format("\"{}\" {}", options.command, solution.text);
  // It says that it is optimal; how near to its own gap limit it stopped, no format tells.
  if (solution.status == IlpStatus::optimal) {
    const double objective = objective_of(call.problem, solution.values);
    solution.bound = objective - call.limits.gap * std::abs(objective);
  }
  return solution;
}

[[maybe_unused]] const bool registered =
    Registry<IlpSolver>::instance().add("command", "any program, by files and a command line", solve_by_command);

}  // namespace
}  // namespace moesim
