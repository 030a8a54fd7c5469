// The co-clustering 0-1 program, linearised: an item's choices of an expert are remote unless both are in one cluster.

#include <fmt/core.h>

#include <cmath>

#include "sim/core/check.h"
#include "sim/policy/placement/assignment_program.h"
#include "sim/policy/placement/co_clustering.h"

namespace moesim {
namespace {

// A column for |sum of terms - mean|, by two rows.
void add_deviation(IlpProblem& problem, const std::string& name, std::vector<IlpTerm> terms, double mean, double cost) {
  const int32_t deviation = problem.add(IlpColumn{name, 0, kNoEnd, cost, false});
  terms.push_back({deviation, 1});
  problem.add(IlpRow{name + ", too little", mean, kNoEnd, terms});
  terms.back().coefficient = -1;
  problem.add(IlpRow{name + ", too much", -kNoEnd, mean, std::move(terms)});
}

struct ProgramColumns {
  AssignmentColumns items;
  AssignmentColumns experts;
};

// [item][expert] a column that is 1 where the choices leave the cluster. It need not be whole: it is as soon as the
// others are.
void add_remote(IlpProblem& problem, const CoClusteringCase& c, const ProgramColumns& columns) {
  for (size_t item = 0; item < c.weight.size(); ++item)
    for (size_t expert = 0; expert < size_t(c.experts); ++expert) {
      const double choices = double(c.row(item, 0)[expert]) * double(c.weight[item]);
      const std::string name = fmt::format("item {} leaves for expert {}", item, expert);
      const int32_t remote = problem.add(IlpColumn{name, 0, 1, (1 - c.balance) * choices / c.top_k, false});
      for (size_t gpu = 0; gpu < size_t(c.gpus); ++gpu)
        problem.add(
            IlpRow{name, 0, kNoEnd, {{remote, 1}, {columns.items[item][gpu], -1}, {columns.experts[expert][gpu], 1}}});
    }
}

void add_balance(IlpProblem& problem, const CoClusteringCase& c, const ProgramColumns& columns) {
  double tokens = 0;
  std::vector<double> load(size_t(c.experts), 0);
  double load_total = 0;
  for (size_t item = 0; item < c.weight.size(); ++item) {
    tokens += double(c.weight[item]);
    for (size_t expert = 0; expert < load.size(); ++expert) {
      load[expert] += double(c.row(item, 0)[expert]) * double(c.weight[item]);
      load_total += double(c.row(item, 0)[expert]) * double(c.weight[item]);
    }
  }
  for (size_t gpu = 0; gpu < size_t(c.gpus); ++gpu) {
    std::vector<IlpTerm> items;
    std::vector<IlpTerm> experts;
    for (size_t item = 0; item < c.weight.size(); ++item)
      items.push_back({columns.items[item][gpu], double(c.weight[item])});
    for (size_t expert = 0; expert < load.size(); ++expert)
      experts.push_back({columns.experts[expert][gpu], load[expert]});
    add_deviation(problem, fmt::format("tokens of cluster {}", gpu), std::move(items), tokens / c.gpus, c.balance);
    add_deviation(problem, fmt::format("rows of cluster {}", gpu), std::move(experts), load_total / c.gpus,
                  c.balance / c.top_k);
  }
}

// Columns that are not whole take the least that the others allow.
void complete_start(IlpProblem& problem) {
  for (size_t row = 0; row < problem.rows.size(); ++row) {
    const IlpRow& r = problem.rows[row];
    const IlpTerm* free = nullptr;
    double sum = 0;
    for (const IlpTerm& term : r.terms) {
      if (!problem.columns[size_t(term.column)].is_integer) free = &term;
      sum +=
          problem.columns[size_t(term.column)].is_integer ? term.coefficient * problem.start[size_t(term.column)] : 0;
    }
    if (free == nullptr) continue;
    double& value = problem.start[size_t(free->column)];
    if (free->coefficient > 0)
      value = std::max(value, r.low - sum);
    else
      value = std::max(value, sum - r.high);
  }
}

}  // namespace

int64_t co_clustering_columns(const CoClusteringCase& c) {
  const int64_t items = int64_t(c.weight.size());
  return int64_t{c.gpus} * (items + c.experts + 2) + items * c.experts;
}

CoClusters solve_co_clustering(const CoClusteringCase& c, const CoClusters& start, const IlpOptions& options,
                               PlacementProof& proof) {
  CHECK(c.layers == 1);
  IlpProblem problem;
  ProgramColumns columns;
  columns.experts = add_assignment(problem, "", size_t(c.experts), c.slots);
  const std::vector<int32_t> room(size_t(c.gpus), int32_t(c.weight.size()));
  columns.items = add_assignment(problem, "item as ", c.weight.size(), room);
  add_remote(problem, c, columns);
  add_balance(problem, c, columns);
  set_start(problem, columns.experts, start.of_expert[0]);
  set_start(problem, columns.items, start.of_item);
  complete_start(problem);
  const IlpSolution solution = solve(problem, options);
  add_search(proof, solution);
  proof.bound += std::max(0.0, solution.bound);
  CoClusters best{gpus_in(solution.values, columns.items), {gpus_in(solution.values, columns.experts)}, 0};
  best.objective = co_clustering_objective(c, best);
  return best.objective < start.objective ? best : start;
}

}  // namespace moesim
