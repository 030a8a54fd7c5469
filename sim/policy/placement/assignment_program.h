// The part that all programs for placements share: each expert of a layer on one GPU (or in one cluster, or in one
// part), and on none more than its slots.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/policy/ilp/ilp_problem.h"

namespace moesim {

// [expert][gpu] the column that is 1 where the expert is there.
using AssignmentColumns = std::vector<std::vector<int32_t>>;

// Adds columns and rows. The place is said in the rows' names: "layer 3: slots of GPU 1".
AssignmentColumns add_assignment(IlpProblem& problem, const std::string& place, size_t experts,
                                 const std::vector<int32_t>& slots);

// Where GPUs differ in nothing, all of their orders would be searched. With experts in this order, each may open no GPU
// but the first that is still empty; a solution fits after relabel() of the same order.
void break_symmetry(IlpProblem& problem, const AssignmentColumns& columns, const std::vector<size_t>& order);

// GPUs renumbered by their first expert in this order, empty ones last.
std::vector<int32_t> relabel(const std::vector<int32_t>& gpu_of, const std::vector<size_t>& order, size_t gpus);

// Sets the start of the columns; and reads a solution.
void set_start(IlpProblem& problem, const AssignmentColumns& columns, const std::vector<int32_t>& gpu_of);
std::vector<int32_t> gpus_in(const std::vector<double>& values, const AssignmentColumns& columns);

// Experts by falling load; ties by number.
std::vector<size_t> heaviest_first(const std::vector<int64_t>& load);

}  // namespace moesim
