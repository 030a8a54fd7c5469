#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/policy/placement/assignment_program.h"
#include "sim/policy/placement/load_program.h"
#include "sim/policy/placement/moetuner_programs.h"

namespace moesim {
namespace {

double total_of(const std::vector<int64_t>& load) {
  return double(std::accumulate(load.begin(), load.end(), int64_t{0}));
}

// Two columns a cluster, for what it has beyond the mean and what it lacks. The total load is added to the objective,
// so that the gap is a part of the load: of a deviation near 0 no part would be small enough.
IlpProblem cluster_program(const PlacementInput& in, size_t layer, const std::vector<int32_t>& start,
                           AssignmentColumns& columns) {
  const std::vector<int64_t>& load = in.past_load[layer];
  const size_t clusters = size_t(in.gpus);
  const double total = total_of(load);
  const double mean = total / double(clusters);
  std::vector<int32_t> slots;
  for (size_t gpu = 0; gpu < clusters; ++gpu) slots.push_back(slots_of(in, gpu));
  const std::string place = fmt::format("layer {}: ", layer);
  IlpProblem problem;
  columns = add_assignment(problem, place, load.size(), slots);
  set_start(problem, columns, start);
  for (size_t cluster = 0; cluster < clusters; ++cluster) {
    double sum = 0;
    IlpRow row{fmt::format("{}load of cluster {}", place, cluster), 1, 1, {}};  // in means
    for (size_t expert = 0; expert < load.size(); ++expert) {
      if (load[expert] > 0) row.terms.push_back({columns[expert][cluster], double(load[expert]) / mean});
      if (size_t(start[expert]) == cluster) sum += double(load[expert]) / mean;
    }
    row.terms.push_back({problem.add(IlpColumn{"beyond", 0, kNoEnd, mean, false}), -1});
    row.terms.push_back({problem.add(IlpColumn{"lacking", 0, kNoEnd, mean, false}), 1});
    problem.start.push_back(std::max(sum - 1, 0.0));
    problem.start.push_back(std::max(1 - sum, 0.0));
    problem.add(std::move(row));
  }
  problem.add(IlpColumn{"total", 1, 1, total, false});
  problem.start.push_back(1);
  if (std::count(slots.begin(), slots.end(), slots[0]) == int64_t(clusters))
    break_symmetry(problem, columns, heaviest_first(load));
  return problem;
}

bool have_equal_slots(const PlacementInput& in) {
  for (size_t gpu = 1; gpu < size_t(in.gpus); ++gpu)
    if (slots_of(in, gpu) != slots_of(in, 0)) return false;
  return true;
}

// The largest expert alone may be more than the mean, and what it has too much, others lack.
double bound_of_deviation(const std::vector<int64_t>& load, size_t clusters) {
  const double mean = total_of(load) / double(clusters);
  double beyond = 0;
  for (const int64_t tokens : load) beyond += std::max(0.0, double(tokens) - mean);
  return 2 * beyond;
}

// The better of contiguous and of what balances the largest load, without copies.
std::vector<int32_t> start_clusters(const PlacementInput& in, size_t layer) {
  const std::vector<int64_t>& load = in.past_load[layer];
  const size_t clusters = size_t(in.gpus);
  std::vector<int32_t> best;
  for (const GpuId gpu : contiguous_gpus(in)) best.push_back(int32_t(gpu));
  PlacementObjective alike;
  alike.in_seconds = true;  // tokens are as good
  alike.token_s.assign(clusters, 1);
  std::vector<int32_t> balanced;
  bool has_copies = false;
  for (const std::vector<GpuId>& gpus : heuristic_hosts(in, alike, load)) {
    balanced.push_back(int32_t(gpus[0]));
    has_copies = has_copies || gpus.size() > 1;
  }
  if (!has_copies && deviation(balanced, load, clusters) < deviation(best, load, clusters)) best = balanced;
  return best;
}

}  // namespace

double deviation(const std::vector<int32_t>& cluster_of, const std::vector<int64_t>& load, size_t clusters) {
  std::vector<double> loads(clusters, 0);
  for (size_t expert = 0; expert < load.size(); ++expert) loads[size_t(cluster_of[expert])] += double(load[expert]);
  double sum = 0;
  for (const double tokens : loads) sum += std::abs(tokens - total_of(load) / double(clusters));
  return sum;
}

ClusterAnswer cluster_layer(const PlacementInput& in, size_t layer, const ProgramOptions& options) {
  const std::vector<int64_t>& load = in.past_load[layer];
  const size_t clusters = size_t(in.gpus);
  const double total = total_of(load);
  ClusterAnswer answer;
  answer.cluster_of = start_clusters(in, layer);
  if (have_equal_slots(in)) answer.cluster_of = relabel(answer.cluster_of, heaviest_first(load), clusters);
  PlacementProof& proof = answer.proof;
  proof.objective = deviation(answer.cluster_of, load, clusters);
  proof.bound = std::min(bound_of_deviation(load, clusters), proof.objective);
  const bool is_proved =
      proof.objective - proof.bound <= options.gap.fraction * (total + proof.objective) + 1e-9 * total;
  if (!is_proved && in.experts * in.gpus <= options.columns_max) {
    AssignmentColumns columns;
    const IlpSolution solution = solve(cluster_program(in, layer, answer.cluster_of, columns), options);
    add_search(proof, solution);
    if (!solution.values.empty()) answer.cluster_of = gpus_in(solution.values, columns);
    proof.objective = deviation(answer.cluster_of, load, clusters);
    proof.bound = std::min(std::max(proof.bound, solution.bound - total), proof.objective);
  }
  if (have_equal_slots(in)) {  // clusters are called by their first expert, whatever the solver called them
    std::vector<size_t> by_number(load.size());
    std::iota(by_number.begin(), by_number.end(), size_t{0});
    answer.cluster_of = relabel(answer.cluster_of, by_number, clusters);
  }
  return answer;
}

}  // namespace moesim
