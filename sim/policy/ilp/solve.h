// Integer programs solved, by whatever solver the settings choose, and believed only as far as we can check.
#pragma once

#include "sim/config/registry.h"
#include "sim/core/units.h"
#include "sim/policy/ilp/ilp_problem.h"
#include "sim/policy/ilp/solver.h"

namespace moesim {

struct IlpOptions {
  PolicyChoice<IlpSolver> solver{"glpk"};
  int64_t node_limit = 200;
  Percentage gap{0.001};
  std::optional<Duration> wall_limit;
};

template <class Visitor>
void fields(Visitor& v, IlpOptions& s) {
  v.optional("solver", s.solver, "who solves the integer programs; an external one is {\"command\": \"...\"}");
  v.optional("node_limit", s.node_limit, at_least(int64_t{1}), "nodes of each search tree");
  v.optional("gap", s.gap, between(Percentage{0}, Percentage{1}), "between solution and bound, at which a search ends");
  v.optional("wall_limit", s.wall_limit, above(Duration{}),
             "of each search; results then depend on the machine, and say so");
}

// The status is as the solver says, as far as that is true: values are rounded where they must be whole and held to
// every row, the objective is counted anew, and a claim that a valid start disproves is a failure. Where the solver
// fails or finds nothing as good, the problem's start is the solution, with what went wrong in text. An infeasible
// problem is solved once more with loose rows to learn which of them cannot hold. Ctrl-C (sim/core/interrupt.h) ends a
// search with the best that it has.
IlpSolution solve(const IlpProblem& problem, const IlpOptions& options);

}  // namespace moesim
