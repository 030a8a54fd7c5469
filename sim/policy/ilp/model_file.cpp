#include "sim/policy/ilp/model_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <optional>
#include <sstream>

namespace moesim {
namespace {

using Words = std::vector<std::string>;

// [column] terms of the rows, since MPS lists a matrix by columns.
std::vector<std::vector<std::pair<size_t, double>>> by_column(const IlpProblem& problem) {
  std::vector<std::vector<std::pair<size_t, double>>> columns(problem.columns.size());
  for (size_t row = 0; row < problem.rows.size(); ++row)
    for (const IlpTerm& term : problem.rows[row].terms) columns[size_t(term.column)].push_back({row, term.coefficient});
  return columns;
}

char mps_kind(const IlpRow& row) {
  if (row.low == row.high) return 'E';
  if (!std::isinf(row.high)) return 'L';
  return std::isinf(row.low) ? 'N' : 'G';
}

void add_mps_columns(const IlpProblem& problem, std::string& text) {
  const auto columns = by_column(problem);
  bool in_integers = false;
  int markers = 0;
  const auto mark = [&](bool integers) {
    if (integers != in_integers) text += fmt::format(" M{} 'MARKER' '{}'\n", markers++, integers ? "INTORG" : "INTEND");
    in_integers = integers;
  };
  text += "COLUMNS\n";
  for (size_t i = 0; i < columns.size(); ++i) {
    mark(problem.columns[i].is_integer);
    text += fmt::format(" c{} cost {}\n", i, problem.columns[i].cost);  // also of 0: a column must appear
    for (const auto& [row, coefficient] : columns[i]) text += fmt::format(" c{} r{} {}\n", i, row, coefficient);
  }
  mark(false);
}

void add_mps_ends(const IlpProblem& problem, std::string& text) {
  text += "RHS\n";
  for (size_t i = 0; i < problem.rows.size(); ++i) {
    const IlpRow& row = problem.rows[i];
    const double end = std::isinf(row.high) ? row.low : row.high;
    if (!std::isinf(end) && end != 0) text += fmt::format(" rhs r{} {}\n", i, end);
  }
  text += "RANGES\n";
  for (size_t i = 0; i < problem.rows.size(); ++i) {
    const IlpRow& row = problem.rows[i];
    if (row.low != row.high && !std::isinf(row.low) && !std::isinf(row.high))
      text += fmt::format(" range r{} {}\n", i, row.high - row.low);
  }
  text += "BOUNDS\n";
  for (size_t i = 0; i < problem.columns.size(); ++i) {
    const IlpColumn& column = problem.columns[i];
    if (std::isinf(column.low) && std::isinf(column.high)) {
      text += fmt::format(" FR bound c{}\n", i);
      continue;
    }
    text +=
        std::isinf(column.low) ? fmt::format(" MI bound c{}\n", i) : fmt::format(" LO bound c{} {}\n", i, column.low);
    text +=
        std::isinf(column.high) ? fmt::format(" PL bound c{}\n", i) : fmt::format(" UP bound c{} {}\n", i, column.high);
  }
}

// Terms eight to a line, as readers limit the length of lines.
template <class Terms, class Of>
void add_lp_sum(const Terms& terms, Of of, std::string& text) {
  size_t written = 0;
  for (const auto& term : terms) {
    const auto [column, coefficient] = of(term);
    if (written > 0 && written % 8 == 0) text += "\n ";
    text += fmt::format(" {} {} c{}", coefficient < 0 ? '-' : '+', std::abs(coefficient), column);
    ++written;
  }
  if (written == 0) text += " 0 c0";
}

void add_lp_row(const IlpRow& row, size_t number, std::string& text) {
  const auto add = [&](const char* suffix, const char* relation, double end) {
    text += fmt::format(" r{}{}:", number, suffix);
    add_lp_sum(row.terms, [](const IlpTerm& t) { return std::pair(size_t(t.column), t.coefficient); }, text);
    text += fmt::format(" {} {}\n", relation, end);
  };
  if (row.low == row.high) return add("", "=", row.low);
  if (!std::isinf(row.low)) add("low", ">=", row.low);
  if (!std::isinf(row.high)) add("", "<=", row.high);
}

std::optional<double> number(const std::string& word) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size()) return {};
  return value;
}

// "c17" is 17, if there is such a column.
std::optional<size_t> column_of(const std::string& word, char letter, size_t first, size_t columns) {
  if (word.size() < 2 || word[0] != letter) return {};
  size_t column = 0;
  const auto [end, error] = std::from_chars(word.data() + 1, word.data() + word.size(), column);
  if (error != std::errc{} || end != word.data() + word.size() || column < first || column - first >= columns)
    return {};
  return column - first;
}

bool take_value(const Words& words, IlpSolution& solution) {
  for (size_t i = 0; i + 1 < words.size(); ++i)
    if (const auto column = column_of(words[i], 'c', 0, solution.values.size()))
      if (const auto value = number(words[i + 1])) return solution.values[*column] = *value, true;
  // glpsol: "j 18 1" is the 18th column, counted from 1; of a program without integers, "j 18 b 1 0".
  if ((words.size() == 3 || words.size() == 5) && words[0] == "j")
    if (const auto column = column_of("j" + words[1], 'j', 1, solution.values.size()))
      if (const auto value = number(words[words.size() == 3 ? 2 : 3])) return solution.values[*column] = *value, true;
  return false;
}

bool says(const std::string& line, const char* word) { return line.find(word) != std::string::npos; }

void take_status(std::string line, const Words& words, IlpSolution& solution) {
  std::transform(line.begin(), line.end(), line.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  if (words.size() == 7 && words[0] == "s") {  // glpsol: "s bas ROWS COLUMNS f f OBJECTIVE": both are feasible
    if (words[4] == "f") solution.status = words[5] == "f" ? IlpStatus::optimal : IlpStatus::unbounded;
    if (words[4] == "n") solution.status = IlpStatus::infeasible;
  } else if (words.size() == 6 && words[0] == "s") {  // "s mip ROWS COLUMNS o OBJECTIVE"
    if (words[4] == "o") solution.status = IlpStatus::optimal;
    if (words[4] == "n") solution.status = IlpStatus::infeasible;
    if (words[4] == "f") solution.status = IlpStatus::feasible;
  } else if (says(line, "infeasible")) {
    solution.status = IlpStatus::infeasible;
  } else if (says(line, "unbounded")) {
    solution.status = IlpStatus::unbounded;
  } else if (says(line, "optimal") && !says(line, "not optimal") && !says(line, "non-optimal")) {
    solution.status = IlpStatus::optimal;
  } else if (says(line, "stopped on") || says(line, "feasible")) {
    solution.status = IlpStatus::feasible;
  }
}

}  // namespace

std::string mps_text(const IlpProblem& problem) {
  std::string text = "NAME moesim FREE\nROWS\n N cost\n";
  for (size_t i = 0; i < problem.rows.size(); ++i) text += fmt::format(" {} r{}\n", mps_kind(problem.rows[i]), i);
  add_mps_columns(problem, text);
  add_mps_ends(problem, text);
  return text + "ENDATA\n";
}

std::string lp_text(const IlpProblem& problem) {
  std::string text = "Minimize\n cost:";
  std::vector<std::pair<size_t, double>> costs;
  for (size_t i = 0; i < problem.columns.size(); ++i) costs.push_back({i, problem.columns[i].cost});
  // Columns of no cost too: glpsol numbers columns as they appear.
  add_lp_sum(costs, [](const auto& cost) { return cost; }, text);
  text += "\nSubject To\n";
  for (size_t i = 0; i < problem.rows.size(); ++i) add_lp_row(problem.rows[i], i, text);
  text += "Bounds\n";
  for (size_t i = 0; i < problem.columns.size(); ++i) {
    const IlpColumn& column = problem.columns[i];
    const std::string low = std::isinf(column.low) ? "-inf" : fmt::format("{}", column.low);
    text +=
        fmt::format(" {} <= c{} <= {}\n", low, i, std::isinf(column.high) ? "+inf" : fmt::format("{}", column.high));
  }
  text += "General\n";
  for (size_t i = 0; i < problem.columns.size(); ++i)
    if (problem.columns[i].is_integer) text += fmt::format(" c{}\n", i);
  return text + "End\n";
}

std::string mip_start_text(const IlpProblem& problem) {
  std::string text = "Feasible - objective value 0\n";
  for (size_t i = 0; i < problem.start.size(); ++i) text += fmt::format("{} c{} {} 0\n", i, i, problem.start[i]);
  return text;
}

IlpSolution read_solution(const IlpProblem& problem, std::string_view text) {
  IlpSolution solution;
  solution.values.assign(problem.columns.size(), 0);
  bool has_values = false;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream stream(line);
    const Words words{std::istream_iterator<std::string>(stream), {}};
    if (take_value(words, solution))
      has_values = true;
    else if (!has_values)
      take_status(line, words, solution);
  }
  if (solution.status == IlpStatus::failed && has_values) solution.status = IlpStatus::feasible;
  if (solution.status == IlpStatus::failed) solution.text = "has written no solution that can be read";
  return solution;
}

}  // namespace moesim
