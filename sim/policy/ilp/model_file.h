// Integer programs as files that other solvers read, and what they write back. Columns are c0, c1, ... there and rows
// r0, r1, ...: names of people could break either format.
#pragma once

#include <string>
#include <string_view>

#include "sim/policy/ilp/ilp_problem.h"
#include "sim/policy/ilp/solver.h"

namespace moesim {

// Free MPS.
std::string mps_text(const IlpProblem& problem);

// The LP format of CPLEX, as far as all read it.
std::string lp_text(const IlpProblem& problem);

// A start as CBC reads it (-mipstart).
std::string mip_start_text(const IlpProblem& problem);

// Status and values of a solution file: of CBC, of glpsol --write, or of any program that writes lines with a column's
// name and then its value (HiGHS, SCIP, Gurobi); columns that it leaves out are 0. Words such as "optimal" and
// "infeasible" on other lines are the status. What has neither is a failure, with a text.
IlpSolution read_solution(const IlpProblem& problem, std::string_view text);

}  // namespace moesim
