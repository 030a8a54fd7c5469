// An integer linear program, in the plainest form: minimise cost * x, where each row's sum and each column lie between
// their ends. What solves it is chosen in solve.h.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace moesim {

constexpr double kNoEnd = std::numeric_limits<double>::infinity();

struct IlpColumn {
  std::string name;  // for people; files for other programs have names of their own
  double low = 0;
  double high = 1;
  double cost = 0;
  bool is_integer = true;
};

struct IlpTerm {
  int32_t column = 0;
  double coefficient = 0;
};

struct IlpRow {
  std::string name;  // what a user reads where it cannot hold: "slots of GPU 3"
  double low = -kNoEnd;
  double high = kNoEnd;
  std::vector<IlpTerm> terms;  // each column at most once
};

struct IlpProblem {
  std::vector<IlpColumn> columns;
  std::vector<IlpRow> rows;
  std::vector<double> start;  // [column] a solution that is known already, or empty

  int32_t add(IlpColumn column) {
    columns.push_back(std::move(column));
    return int32_t(columns.size()) - 1;
  }
  void add(IlpRow row) { rows.push_back(std::move(row)); }
};

double objective_of(const IlpProblem& problem, const std::vector<double>& values);

// What is wrong with values as a solution, in words: a column beyond its ends or not whole, a row that does not hold,
// each by more than rounding explains. "" where nothing is.
std::string fault_of(const IlpProblem& problem, const std::vector<double>& values);

// Without the demand that columns be whole: its optimum is a bound from below.
IlpProblem relaxation(IlpProblem problem);

// Each row may be broken at a cost of 1 a unit, and nothing else costs: where the optimum is above 0, the rows that it
// breaks cannot hold together. The columns from problem.columns.size() on are two for each row, for too little and too
// much.
IlpProblem elastic(const IlpProblem& problem);

}  // namespace moesim
