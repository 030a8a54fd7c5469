#include "sim/policy/ilp/ilp_problem.h"

#include <fmt/core.h>

#include <cmath>

namespace moesim {
namespace {

// Solvers meet integrality and rows to about 1e-7; what is off by more is wrong.
constexpr double kTolerance = 1e-6;

}  // namespace

double objective_of(const IlpProblem& problem, const std::vector<double>& values) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += problem.columns[i].cost * values[i];
  return sum;
}

std::string fault_of(const IlpProblem& problem, const std::vector<double>& values) {
  if (values.size() != problem.columns.size())
    return fmt::format("{} values for {} columns", values.size(), problem.columns.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const IlpColumn& column = problem.columns[i];
    const double slack = kTolerance * std::max(1.0, std::abs(values[i]));
    if (!std::isfinite(values[i])) return fmt::format("{} is not a number", column.name);
    if (column.is_integer && std::abs(values[i] - std::round(values[i])) > kTolerance)
      return fmt::format("{} is {}, not whole", column.name, values[i]);
    if (values[i] < column.low - slack || values[i] > column.high + slack)
      return fmt::format("{} is {}, not between {} and {}", column.name, values[i], column.low, column.high);
  }
  for (const IlpRow& row : problem.rows) {
    double sum = 0;
    double size = 1;
    for (const IlpTerm& term : row.terms) {
      sum += term.coefficient * values[size_t(term.column)];
      size = std::max(size, std::abs(term.coefficient * values[size_t(term.column)]));
    }
    if (sum < row.low - kTolerance * size || sum > row.high + kTolerance * size)
      return fmt::format("\"{}\" is {}, not between {} and {}", row.name, sum, row.low, row.high);
  }
  return "";
}

IlpProblem relaxation(IlpProblem problem) {
  for (IlpColumn& column : problem.columns) column.is_integer = false;
  return problem;
}

IlpProblem elastic(const IlpProblem& problem) {
  IlpProblem loose = problem;
  loose.start.clear();
  for (IlpColumn& column : loose.columns) column.cost = 0;
  for (IlpRow& row : loose.rows)
    for (const double sign : {1.0, -1.0})
      row.terms.push_back({loose.add(IlpColumn{"off " + row.name, 0, kNoEnd, 1, false}), sign});
  return loose;
}

}  // namespace moesim
