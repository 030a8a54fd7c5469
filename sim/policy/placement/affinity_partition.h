// Experts of all layers cut into parts, GPUs or nodes, so that few tokens change their part from one layer to the next.
// What ExFlow's integer program asks (arXiv 2401.08383), with the tokens that it lists summed to counts. The policies
// `affinity` and `exflow` search it. A partitioner for general graphs would have to be told that each layer fills its
// parts on its own, which is one constraint a layer; here it holds by construction.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sim/policy/placement/program_options.h"

namespace moesim {

struct PartProblem {
  const PlacementInput* in = nullptr;
  std::vector<std::vector<int32_t>>
      members;                 // [layer] the experts to place; the others are elsewhere, and not looked at
  std::vector<int32_t> slots;  // [part] experts of one layer
  std::vector<std::vector<double>> distance;  // [part][part] what a token costs that goes there, 0 to the same
};

using Parts = std::vector<std::vector<int32_t>>;  // [layer][as in members] the part

// All parts one step from each other.
PartProblem part_problem(const PlacementInput& in, std::vector<std::vector<int32_t>> members,
                         std::vector<int32_t> slots);

double cut_of(const PartProblem& p, const Parts& parts);

// 0, 1, 2, ..
std::vector<size_t> in_order(size_t count);

// The members of a layer in this order, each part filled in proportion to its slots.
std::vector<int32_t> filled_parts(const std::vector<size_t>& order, const std::vector<int32_t>& slots);

// In order of expert, in every layer.
Parts contiguous_parts(const PartProblem& p);

// From those of the first layer, layer after layer the cheapest that there is by the layer before.
Parts chained_parts(const PartProblem& p, std::vector<int32_t> first);

// Each layer assigned anew, exactly, given the layers before and behind it: forth and back over the layers until that
// gains nothing, so many times at the most.
constexpr int32_t kSweepsMax = 16;
void sweep(const PartProblem& p, Parts& parts, int32_t sweeps);

// The best of chained and contiguous parts, and what integer programs make of it: the whole one where it is small
// enough, else one for every few layers between fixed neighbours. The bound is that of the whole program, else 0.
struct PartAnswer {
  Parts parts;
  PlacementProof proof;
};
PartAnswer solve_parts(const PartProblem& p, int32_t window, const ProgramOptions& options);

// Parts halved again and again, between servers of `per_node` parts as long as there are several. `solve` cuts in two.
using SolveParts = std::function<PartAnswer(const PartProblem& p)>;
PartAnswer bisect_parts(const PartProblem& p, size_t per_node, const SolveParts& solve);

}  // namespace moesim
