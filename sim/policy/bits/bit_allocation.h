// Widths for the experts of one MoE layer that cost least within a number of bits in all, as MC-MoE asks for them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/policy/ilp/solve.h"

namespace moesim {

// At least one expert has the largest width and at least one the next to it.
struct BitProblem {
  std::vector<int32_t> widths;  // rising, two at least
  std::vector<double> cost;     // [expert * widths + width]
  int32_t budget = 0;           // bits of all experts together

  size_t experts() const { return cost.size() / widths.size(); }
};

// Bits that any solution needs.
int64_t least_budget(const std::vector<int32_t>& widths, int64_t experts);

// [expert] index of its width. Exact, in experts * budget * widths steps. Of equals the last expert has the fewest
// bits, then the one before it. CHECKs that there is a solution.
std::vector<int32_t> widths_by_table(const BitProblem& problem);

// The same as an integer program. Nothing where the solver has no proof: it is missing, or gave up.
std::optional<std::vector<int32_t>> widths_by_program(const BitProblem& problem, const IlpOptions& options);

}  // namespace moesim
