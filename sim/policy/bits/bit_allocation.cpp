#include "sim/policy/bits/bit_allocation.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "sim/core/check.h"

namespace moesim {
namespace {

// What the experts so far have: bits in all, and which of the two widths that must occur do.
constexpr int32_t kHasLargest = 1;
constexpr int32_t kHasNext = 2;
constexpr int32_t kMarks = 4;

int32_t mark_of(const BitProblem& p, size_t width) {
  if (width + 1 == p.widths.size()) return kHasLargest;
  return width + 2 == p.widths.size() ? kHasNext : 0;
}

// How a state is reached at the least cost: by this width of the last expert, from a state with these marks.
struct Step {
  int16_t width = -1;
  int16_t marks = 0;
};

// States are bits in all * kMarks + marks.
void add_expert(const BitProblem& p, size_t expert, std::vector<double>& least, std::vector<Step>& steps) {
  std::vector<double> next(least.size(), kNoEnd);
  for (size_t width = 0; width < p.widths.size(); ++width) {
    const size_t bits = size_t(p.widths[width]);
    const double cost = p.cost[expert * p.widths.size() + width];
    for (size_t from = 0; from + bits * kMarks < least.size(); ++from) {
      if (least[from] == kNoEnd) continue;
      const size_t marks = from % kMarks;
      const size_t to = from - marks + bits * kMarks + (marks | size_t(mark_of(p, width)));
      if (least[from] + cost >= next[to]) continue;
      next[to] = least[from] + cost;
      steps[to] = {int16_t(width), int16_t(marks)};
    }
  }
  least = std::move(next);
}

IlpProblem program_of(const BitProblem& p) {
  IlpProblem program;
  const double largest = *std::max_element(p.cost.begin(), p.cost.end());
  for (size_t expert = 0; expert < p.experts(); ++expert)
    for (size_t width = 0; width < p.widths.size(); ++width)
      program.add(IlpColumn{.name = fmt::format("expert {} has {} bits", expert, p.widths[width]),
                            .cost = p.cost[expert * p.widths.size() + width] / (largest > 0 ? largest : 1)});
  IlpRow in_all{.name = "bits in all", .high = double(p.budget), .terms = {}};
  IlpRow some_largest{.name = "the largest width occurs", .low = 1, .terms = {}};
  IlpRow some_next{.name = "the width next to it occurs", .low = 1, .terms = {}};
  for (size_t expert = 0; expert < p.experts(); ++expert) {
    IlpRow one{.name = fmt::format("a width for expert {}", expert), .low = 1, .high = 1, .terms = {}};
    for (size_t width = 0; width < p.widths.size(); ++width) {
      const int32_t column = int32_t(expert * p.widths.size() + width);
      one.terms.push_back({column, 1});
      in_all.terms.push_back({column, double(p.widths[width])});
      if (mark_of(p, width) == kHasLargest) some_largest.terms.push_back({column, 1});
      if (mark_of(p, width) == kHasNext) some_next.terms.push_back({column, 1});
    }
    program.add(std::move(one));
  }
  program.add(std::move(in_all));
  program.add(std::move(some_largest));
  program.add(std::move(some_next));
  return program;
}

}  // namespace

int64_t least_budget(const std::vector<int32_t>& widths, int64_t experts) {
  CHECK(widths.size() >= 2);
  return (experts - 2) * widths.front() + widths[widths.size() - 2] + widths.back();
}

std::vector<int32_t> widths_by_table(const BitProblem& p) {
  CHECK(p.experts() >= 2 && p.budget >= least_budget(p.widths, int64_t(p.experts())));
  const int64_t bits_max = std::min(int64_t{p.budget}, int64_t(p.experts()) * p.widths.back());
  std::vector<double> least(size_t(bits_max + 1) * kMarks, kNoEnd);
  least[0] = 0;
  std::vector<std::vector<Step>> steps(p.experts(), std::vector<Step>(least.size()));
  for (size_t expert = 0; expert < p.experts(); ++expert) add_expert(p, expert, least, steps[expert]);

  constexpr size_t kComplete = kHasLargest | kHasNext;
  size_t at = kComplete;
  for (size_t state = kComplete; state < least.size(); state += kMarks)
    if (least[state] < least[at]) at = state;
  CHECK(least[at] < kNoEnd);
  std::vector<int32_t> chosen(p.experts());
  for (size_t expert = p.experts(); expert-- > 0;) {
    const Step step = steps[expert][at];
    chosen[expert] = step.width;
    at = at - at % kMarks - size_t(p.widths[size_t(step.width)]) * kMarks + size_t(step.marks);
  }
  return chosen;
}

std::optional<std::vector<int32_t>> widths_by_program(const BitProblem& p, const IlpOptions& options) {
  const IlpSolution solution = solve(program_of(p), options);
  if (solution.status != IlpStatus::optimal) return std::nullopt;
  std::vector<int32_t> chosen;
  for (size_t expert = 0; expert < p.experts(); ++expert) {
    const auto first = solution.values.begin() + ptrdiff_t(expert * p.widths.size());
    chosen.push_back(int32_t(std::max_element(first, first + ptrdiff_t(p.widths.size())) - first));
  }
  return chosen;
}

}  // namespace moesim
