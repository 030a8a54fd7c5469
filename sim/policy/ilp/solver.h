// Who solves integer programs: the interface of the solvers in this folder. Callers use solve.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/config/registry.h"
#include "sim/policy/ilp/ilp_problem.h"

namespace moesim {

enum class IlpStatus {
  optimal,     // within the gap that was asked for
  feasible,    // a solution; a limit came before the proof
  infeasible,  // there is none
  unbounded,
  failed,  // no solution, and text says why
};

// When a solver may stop before its proof is complete.
struct IlpLimits {
  int64_t nodes = 0;                   // of the search tree
  double gap = 0;                      // (objective - bound) / |objective|
  std::optional<double> wall_seconds;  // the result then depends on the machine
};

struct IlpSolution {
  IlpStatus status = IlpStatus::failed;
  std::string text;            // what went wrong, also where there is a solution all the same; else ""
  std::vector<double> values;  // [column] where status is optimal or feasible
  double objective = 0;
  double bound = -kNoEnd;  // no solution is below it
  double gap = kNoEnd;     // (objective - bound) / |objective|
  int64_t nodes = 0;
  bool wall_limited = false;          // a wall limit ended the search
  bool interrupted = false;           // Ctrl-C did
  std::vector<std::string> conflict;  // infeasible: names of rows that cannot hold together
  std::string solver;                 // who answered
};

struct IlpCall {
  const IlpProblem& problem;
  IlpLimits limits;
};

// A solver fills in status, values, bound, nodes and what ended the search; it may be wrong, solve() checks.
struct IlpSolver {
  using Input = IlpCall;
  using Decision = IlpSolution;
  static constexpr const char* kind = "solver";
  static constexpr const char* unnamed = "command";  // {"command": ...} is {"policy": "command", "command": ...}
};

}  // namespace moesim
