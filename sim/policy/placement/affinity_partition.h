// Experts of all layers cut into parts, GPUs or nodes, so that few tokens change their part from one layer to the next.
// What ExFlow's integer program asks (arXiv 2401.08383), with the tokens that it lists summed to counts.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/policy/placement/program_options.h"

namespace moesim {

struct PartProblem {
  const PlacementInput* in = nullptr;
  std::vector<std::vector<int32_t>>
      members;                 // [layer] the experts to place; the others are elsewhere, and not looked at
  std::vector<int32_t> slots;  // [part] experts of one layer
  std::vector<std::vector<int64_t>> distance;  // [part][part] what a token costs that goes there, 0 to the same
};

using Parts = std::vector<std::vector<int32_t>>;  // [layer][as in members] the part

// All parts one step from each other.
PartProblem part_problem(const PlacementInput& in, std::vector<std::vector<int32_t>> members,
                         std::vector<int32_t> slots);

int64_t cut_of(const PartProblem& p, const Parts& parts);

// In order of expert, each part filled in proportion to its slots.
Parts contiguous_parts(const PartProblem& p);

// Layer after layer, each expert with the part that most of its tokens come from; then swaps.
Parts chained_parts(const PartProblem& p);

// Two experts of a layer change parts, or one goes to a free slot, as long as that gains.
void descend(const PartProblem& p, Parts& parts);

// The best of chained and contiguous parts, and what integer programs make of it: the whole one where it is small
// enough, else one for every few layers between fixed neighbours. The bound is that of the whole program, else 0.
struct PartAnswer {
  Parts parts;
  PlacementProof proof;
};
PartAnswer solve_parts(const PartProblem& p, int32_t window, const ProgramOptions& options);

// The same with parts halved again and again, each cut in two solved so.
PartAnswer bisect_parts(const PartProblem& p, int32_t window, const ProgramOptions& options);

}  // namespace moesim
