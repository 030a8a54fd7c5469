// GLPK in this process: the default solver. Built without it (MOESIM_GLPK), the name stays and says so.
//
// With a solution to start from, the program's relaxation is solved first and the search starts from its basis, since
// GLPK takes a start in its callback alone and there its presolver would have renumbered the columns. Without one, the
// presolver is on.

#include "sim/policy/ilp/solver.h"

#ifdef MOESIM_HAS_GLPK
#include <glpk.h>

#include <algorithm>
#include <cfloat>
#include <climits>
#include <cmath>

#include "sim/core/interrupt.h"
#endif

namespace moesim {
namespace {

#ifdef MOESIM_HAS_GLPK

// A failed assertion inside GLPK, which would else abort the process.
struct GlpkError {};

[[noreturn]] void throw_glpk_error(void*) { throw GlpkError{}; }

// GLPK keeps its state in the thread. Freeing that frees all that was made, after an error too.
struct Environment {
  Environment() {
    glp_term_out(GLP_OFF);
    glp_error_hook(throw_glpk_error, nullptr);
  }
  ~Environment() { glp_free_env(); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
};

int kind_of_ends(double low, double high) {
  if (low == high) return GLP_FX;
  if (std::isinf(low)) return std::isinf(high) ? GLP_FR : GLP_UP;
  return std::isinf(high) ? GLP_LO : GLP_DB;
}

glp_prob* glpk_problem(const IlpProblem& problem) {
  glp_prob* const p = glp_create_prob();
  glp_set_obj_dir(p, GLP_MIN);
  if (!problem.columns.empty()) glp_add_cols(p, int(problem.columns.size()));
  if (!problem.rows.empty()) glp_add_rows(p, int(problem.rows.size()));
  for (size_t i = 0; i < problem.columns.size(); ++i) {
    const IlpColumn& column = problem.columns[i];
    const int j = int(i) + 1;  // GLPK counts from 1
    glp_set_col_kind(p, j, column.is_integer ? GLP_IV : GLP_CV);
    glp_set_col_bnds(p, j, kind_of_ends(column.low, column.high), column.low, column.high);
    glp_set_obj_coef(p, j, column.cost);
  }
  for (size_t i = 0; i < problem.rows.size(); ++i) {
    const IlpRow& row = problem.rows[i];
    std::vector<int> columns = {0};
    std::vector<double> coefficients = {0};
    for (const IlpTerm& term : row.terms) {
      columns.push_back(term.column + 1);
      coefficients.push_back(term.coefficient);
    }
    glp_set_row_bnds(p, int(i) + 1, kind_of_ends(row.low, row.high), row.low, row.high);
    glp_set_mat_row(p, int(i) + 1, int(row.terms.size()), columns.data(), coefficients.data());
  }
  return p;
}

// What the callback needs and what it learns.
struct Watch {
  const IlpCall& call;
  bool has_offered_start = false;
  double bound = -kNoEnd;
  int64_t nodes = 0;
  bool interrupted = false;
};

void watch(glp_tree* tree, void* info) {
  Watch& w = *static_cast<Watch*>(info);
  int total = 0;
  glp_ios_tree_size(tree, nullptr, nullptr, &total);
  w.nodes = total;
  const int best = glp_ios_best_node(tree);
  if (best != 0) {
    const double bound = glp_ios_node_bound(tree, best);
    if (bound > -DBL_MAX && bound < DBL_MAX) w.bound = std::max(w.bound, bound);
  }
  if (glp_ios_reason(tree) == GLP_IHEUR && !w.has_offered_start && !w.call.problem.start.empty()) {
    w.has_offered_start = true;
    std::vector<double> start = {0};
    start.insert(start.end(), w.call.problem.start.begin(), w.call.problem.start.end());
    glp_ios_heur_sol(tree, start.data());
  }
  w.interrupted = interrupted;
  if (w.interrupted || w.nodes > w.call.limits.nodes) glp_ios_terminate(tree);
}

int milliseconds(const IlpLimits& limits) {
  if (!limits.wall_seconds) return INT_MAX;
  return int(std::clamp(*limits.wall_seconds * 1000, 1.0, double(INT_MAX)));
}

IlpStatus status_of(int code) {
  return code == GLP_ENOPFS ? IlpStatus::infeasible : code == GLP_ENODFS ? IlpStatus::unbounded : IlpStatus::failed;
}

// The relaxation, which is also the answer where no column is integer. False where it has no optimum.
bool solve_relaxation(glp_prob* p, const IlpLimits& limits, IlpSolution& solution) {
  glp_smcp parameters;
  glp_init_smcp(&parameters);
  parameters.msg_lev = GLP_MSG_OFF;
  parameters.presolve = GLP_ON;
  parameters.tm_lim = milliseconds(limits);
  int code = glp_simplex(p, &parameters);
  if (code != 0 && code != GLP_ENOPFS && code != GLP_ENODFS && code != GLP_ETMLIM) {
    parameters.presolve = GLP_OFF;
    glp_adv_basis(p, 0);
    code = glp_simplex(p, &parameters);
  }
  solution.wall_limited = code == GLP_ETMLIM;
  if (code != 0)
    solution.status = status_of(code);
  else if (glp_get_status(p) == GLP_NOFEAS)
    solution.status = IlpStatus::infeasible;
  else if (glp_get_status(p) == GLP_UNBND)
    solution.status = IlpStatus::unbounded;
  else if (glp_get_status(p) == GLP_OPT)
    return true;
  if (solution.status == IlpStatus::failed)
    solution.text = "GLPK's simplex method ended with code " + std::to_string(code);
  return false;
}

glp_iocp search_parameters(const IlpCall& call, Watch& w) {
  glp_iocp parameters;
  glp_init_iocp(&parameters);
  parameters.msg_lev = GLP_MSG_OFF;
  parameters.presolve = call.problem.start.empty() ? GLP_ON : GLP_OFF;
  parameters.gmi_cuts = parameters.mir_cuts = parameters.cov_cuts = parameters.clq_cuts = GLP_ON;
  parameters.mip_gap = call.limits.gap;
  parameters.tm_lim = milliseconds(call.limits);
  parameters.cb_func = watch;
  parameters.cb_info = &w;
  return parameters;
}

void take_search(glp_prob* p, int code, const Watch& w, IlpSolution& solution) {
  solution.nodes = w.nodes;
  solution.bound = std::max(solution.bound, w.bound);
  solution.interrupted = w.interrupted;
  solution.wall_limited = code == GLP_ETMLIM;
  const int status = glp_mip_status(p);
  if (status == GLP_OPT || status == GLP_FEAS) {
    solution.status = status == GLP_OPT && code == 0 ? IlpStatus::optimal : IlpStatus::feasible;
    for (int j = 1; j <= glp_get_num_cols(p); ++j) solution.values.push_back(glp_mip_col_val(p, j));
    if (solution.status == IlpStatus::optimal) solution.bound = glp_mip_obj_val(p);
  } else if (status == GLP_NOFEAS && code == 0) {
    solution.status = IlpStatus::infeasible;
  } else {
    solution.status = status_of(code);
    solution.text = code == GLP_ESTOP || code == GLP_ETMLIM ? "GLPK found no solution within its limits"
                                                            : "GLPK's search ended with code " + std::to_string(code);
  }
}

IlpSolution search(const IlpCall& call) {
  IlpSolution solution;
  glp_prob* const p = glpk_problem(call.problem);
  if (!solve_relaxation(p, call.limits, solution)) return solution;
  if (glp_get_num_int(p) == 0) {
    solution.status = IlpStatus::optimal;
    solution.bound = glp_get_obj_val(p);
    for (int j = 1; j <= glp_get_num_cols(p); ++j) solution.values.push_back(glp_get_col_prim(p, j));
    return solution;
  }
  solution.bound = glp_get_obj_val(p);
  Watch w{call};
  const glp_iocp parameters = search_parameters(call, w);
  const int code = glp_intopt(p, &parameters);
  take_search(p, code, w, solution);
  return solution;
}

IlpSolution solve_by_glpk(const IlpCall& call, const NoOptions&, Rng&) {
  const Environment environment;
  try {
    return search(call);
  } catch (const GlpkError&) {
    IlpSolution solution;
    solution.text = "GLPK stopped with an error inside it";
    return solution;
  }
}

#else

IlpSolution solve_by_glpk(const IlpCall&, const NoOptions&, Rng&) {
  IlpSolution solution;
  solution.text = "this moesim was built without GLPK (MOESIM_GLPK); choose the solver cbc or a command";
  return solution;
}

#endif

[[maybe_unused]] const bool registered =
    Registry<IlpSolver>::instance().add("glpk", "GLPK, in this process", solve_by_glpk);

}  // namespace
}  // namespace moesim
