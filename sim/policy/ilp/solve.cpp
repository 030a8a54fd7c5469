#include "sim/policy/ilp/solve.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr double kWhole = 1e-5;  // GLPK's own tolerance of integrality

void check_problem(const IlpProblem& problem) {
  for (const IlpColumn& column : problem.columns) CHECK(column.low <= column.high);
  for (const IlpRow& row : problem.rows)
    for (const IlpTerm& term : row.terms) CHECK(size_t(term.column) < problem.columns.size());
  CHECK(problem.start.empty() || problem.start.size() == problem.columns.size());
}

bool has_values(const IlpSolution& solution) {
  return solution.status == IlpStatus::optimal || solution.status == IlpStatus::feasible;
}

void fail(IlpSolution& solution, std::string text) {
  solution.status = IlpStatus::failed;
  solution.text = std::move(text);
  solution.bound = -kNoEnd;
  solution.values.clear();
}

void round_whole(const IlpProblem& problem, std::vector<double>& values) {
  for (size_t i = 0; i < std::min(values.size(), problem.columns.size()); ++i)
    if (problem.columns[i].is_integer && std::abs(values[i] - std::round(values[i])) < kWhole)
      values[i] = std::round(values[i]);
}

// Turns what the solver claims into what is so.
void disbelieve(const IlpProblem& problem, bool start_holds, IlpSolution& solution) {
  if (std::isnan(solution.bound)) solution.bound = -kNoEnd;
  if (has_values(solution)) {
    round_whole(problem, solution.values);
    const std::string fault = fault_of(problem, solution.values);
    if (!fault.empty()) return fail(solution, fmt::format("{} gave a wrong solution: {}", solution.solver, fault));
    solution.objective = objective_of(problem, solution.values);
  }
  if (!has_values(solution)) solution.values.clear();
  if (solution.status == IlpStatus::infeasible && start_holds)
    fail(solution, fmt::format("{} finds no solution, but there is one", solution.solver));
}

void use_start(const IlpProblem& problem, IlpSolution& solution) {
  const double objective = objective_of(problem, problem.start);
  if (has_values(solution) && solution.objective <= objective) return;
  if (solution.status != IlpStatus::optimal) solution.status = IlpStatus::feasible;
  solution.values = problem.start;
  solution.objective = objective;
}

void set_gap(double gap_limit, IlpSolution& solution) {
  const double size = std::max(std::abs(solution.objective), 1e-9);
  // Two sums of the same terms differ in their last bits.
  if (solution.bound > solution.objective - 1e-9 * size) solution.bound = solution.objective;
  solution.gap = (solution.objective - solution.bound) / size;
  if (solution.gap <= gap_limit) solution.status = IlpStatus::optimal;
  if (solution.gap > gap_limit + 1e-9 && solution.status == IlpStatus::optimal) solution.status = IlpStatus::feasible;
}

IlpSolution ask(const IlpProblem& problem, const IlpOptions& options) {
  IlpLimits limits{options.node_limit, options.gap.fraction, {}};
  if (options.wall_limit) limits.wall_seconds = double(options.wall_limit->ps) * 1e-12;
  Rng none(0);
  IlpSolution solution = options.solver.decide({problem, limits}, none);
  if (solution.solver.empty()) solution.solver = options.solver.name();
  return solution;
}

void find_conflict(const IlpProblem& problem, const IlpOptions& options, IlpSolution& solution) {
  const IlpProblem loose = elastic(problem);
  IlpSolution least = ask(loose, options);
  disbelieve(loose, false, least);
  if (!has_values(least)) return;
  for (size_t row = 0; row < problem.rows.size(); ++row) {
    const size_t first = problem.columns.size() + 2 * row;
    if (least.values[first] + least.values[first + 1] > kWhole) solution.conflict.push_back(problem.rows[row].name);
  }
}

}  // namespace

IlpSolution solve(const IlpProblem& problem, const IlpOptions& options) {
  check_problem(problem);
  const bool start_holds = !problem.start.empty() && fault_of(problem, problem.start).empty();
  IlpSolution solution = ask(problem, options);
  disbelieve(problem, start_holds, solution);
  if (start_holds && solution.status != IlpStatus::unbounded) use_start(problem, solution);
  if (has_values(solution)) set_gap(options.gap.fraction, solution);
  if (solution.status == IlpStatus::infeasible) find_conflict(problem, options, solution);
  return solution;
}

}  // namespace moesim
