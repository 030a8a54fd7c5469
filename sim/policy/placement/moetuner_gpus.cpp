#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "sim/core/check.h"
#include "sim/policy/placement/assignment_program.h"
#include "sim/policy/placement/moetuner_programs.h"

namespace moesim {
namespace {

using GpuOf = std::vector<std::vector<int32_t>>;  // [layer][cluster]

// Of the tokens that go from the layer to the next.
double slowest_pair(const GpuCase& c, size_t layer, const std::vector<int32_t>& here,
                    const std::vector<int32_t>& next) {
  double slowest = 0;
  for (size_t a = 0; a < c.gpus; ++a)
    for (size_t b = 0; b < c.gpus; ++b)
      slowest =
          std::max(slowest, c.tokens[layer][a * c.gpus + b] * c.token_s[size_t(here[a]) * c.gpus + size_t(next[b])]);
  return slowest;
}

double pairs_around(const GpuCase& c, const GpuOf& gpu_of, size_t layer) {
  double sum = 0;
  if (layer > 0) sum += slowest_pair(c, layer - 1, gpu_of[layer - 1], gpu_of[layer]);
  if (layer + 1 < gpu_of.size()) sum += slowest_pair(c, layer, gpu_of[layer], gpu_of[layer + 1]);
  return sum;
}

// Two clusters of a layer change GPUs as long as that gains.
bool swap_in_layer(const GpuCase& c, GpuOf& gpu_of, size_t layer) {
  bool has_gained = false;
  std::vector<int32_t>& gpus = gpu_of[layer];
  double cost = pairs_around(c, gpu_of, layer);
  for (size_t a = 0; a < c.gpus; ++a)
    for (size_t b = a + 1; b < c.gpus; ++b) {
      if (!c.fits[layer][a][size_t(gpus[b])] || !c.fits[layer][b][size_t(gpus[a])]) continue;
      std::swap(gpus[a], gpus[b]);
      const double swapped = pairs_around(c, gpu_of, layer);
      if (swapped < cost * (1 - 1e-12)) {
        cost = swapped;
        has_gained = true;
      } else {
        std::swap(gpus[a], gpus[b]);
      }
    }
  return has_gained;
}

constexpr int kSweepsMax = 20;

void descend(const GpuCase& c, GpuOf& gpu_of) {
  bool has_gained = true;
  for (int sweep = 0; has_gained && sweep < kSweepsMax; ++sweep) {
    has_gained = false;
    for (size_t layer = 0; layer < gpu_of.size(); ++layer) has_gained |= swap_in_layer(c, gpu_of, layer);
  }
}

// Whatever goes where, of two entries in one row or column of the tokens only one can stay on its GPU. So going through
// the entries from the largest, the first that meets an earlier one in its row or column bounds the slowest pair, or
// the earlier does, which is larger.
double bound_of_transition(const GpuCase& c, size_t layer) {
  double cheapest = kNoEnd;
  for (size_t i = 0; i < c.token_s.size(); ++i)
    if (i / c.gpus != i % c.gpus) cheapest = std::min(cheapest, c.token_s[i]);
  if (c.gpus < 2) return 0;
  const std::vector<double>& tokens = c.tokens[layer];
  std::vector<size_t> largest_first(tokens.size());
  std::iota(largest_first.begin(), largest_first.end(), size_t{0});
  std::stable_sort(largest_first.begin(), largest_first.end(),
                   [&](size_t a, size_t b) { return tokens[a] > tokens[b]; });
  std::set<size_t> rows;
  std::set<size_t> columns;
  for (const size_t entry : largest_first)
    if (!rows.insert(entry / c.gpus).second || !columns.insert(entry % c.gpus).second) return tokens[entry] * cheapest;
  return 0;
}

// What of layers `first` to `end` (without it) is free; the others keep their GPUs.
struct Window {
  size_t first = 0;
  size_t end = 0;
};

struct GpuProgram {
  IlpProblem problem;
  std::vector<AssignmentColumns> columns;  // [layer of the window][cluster][gpu]
};

AssignmentColumns add_layer(IlpProblem& problem, const GpuCase& c, size_t layer) {
  AssignmentColumns columns =
      add_assignment(problem, fmt::format("layer {}: ", layer), c.gpus, std::vector<int32_t>(c.gpus, 1));
  for (size_t cluster = 0; cluster < c.gpus; ++cluster)
    for (size_t gpu = 0; gpu < c.gpus; ++gpu)
      if (!c.fits[layer][cluster][gpu]) problem.columns[size_t(columns[cluster][gpu])].high = 0;
  return columns;
}

// A transition to or from a layer that keeps its GPUs: each pair of GPUs has a known cluster on that side.
void add_fixed_side(IlpProblem& problem, const GpuCase& c, size_t layer, const std::vector<int32_t>& fixed,
                    const AssignmentColumns& free, bool fixed_is_first, double unit) {
  const int32_t slowest =
      problem.add(IlpColumn{fmt::format("slowest pair after layer {}", layer), 0, kNoEnd, 1, false});
  for (size_t cluster = 0; cluster < c.gpus; ++cluster)
    for (size_t gpu = 0; gpu < c.gpus; ++gpu) {
      IlpRow row{"pair", -kNoEnd, 0, {{slowest, -1}}};
      for (size_t other = 0; other < c.gpus; ++other) {
        const size_t there = size_t(fixed[cluster]);
        const double tokens =
            fixed_is_first ? c.tokens[layer][cluster * c.gpus + other] : c.tokens[layer][other * c.gpus + cluster];
        const double seconds = fixed_is_first ? c.token_s[there * c.gpus + gpu] : c.token_s[gpu * c.gpus + there];
        if (tokens * seconds > 0) row.terms.push_back({free[other][gpu], tokens * seconds / unit});
      }
      problem.add(std::move(row));
    }
}

// Both sides are free: a column for each pair of clusters on each pair of GPUs, the product of theirs. Its sums over
// the second cluster's GPU, and over the first's, are what makes the relaxation tight.
void add_products(IlpProblem& problem, const GpuCase& c, size_t layer, const AssignmentColumns& here,
                  const AssignmentColumns& next, double unit) {
  const size_t g = c.gpus;
  const int32_t first = int32_t(problem.columns.size());
  const auto product = [&](size_t a, size_t from, size_t b, size_t to) {
    return first + int32_t(((a * g + from) * g + b) * g + to);
  };
  for (size_t i = 0; i < g * g * g * g; ++i) problem.add(IlpColumn{"product", 0, 1, 0, false});
  for (size_t a = 0; a < g; ++a)
    for (size_t b = 0; b < g; ++b)
      for (size_t gpu = 0; gpu < g; ++gpu) {
        IlpRow leaves{"leaves", 0, 0, {{here[a][gpu], -1}}};
        IlpRow arrives{"arrives", 0, 0, {{next[b][gpu], -1}}};
        for (size_t other = 0; other < g; ++other) {
          leaves.terms.push_back({product(a, gpu, b, other), 1});
          arrives.terms.push_back({product(a, other, b, gpu), 1});
        }
        problem.add(std::move(leaves));
        problem.add(std::move(arrives));
      }
  const int32_t slowest =
      problem.add(IlpColumn{fmt::format("slowest pair after layer {}", layer), 0, kNoEnd, 1, false});
  for (size_t from = 0; from < g; ++from)
    for (size_t to = 0; to < g; ++to) {
      IlpRow row{"pair", -kNoEnd, 0, {{slowest, -1}}};
      for (size_t a = 0; a < g; ++a)
        for (size_t b = 0; b < g; ++b)
          if (const double time = c.tokens[layer][a * g + b] * c.token_s[from * g + to]; time > 0)
            row.terms.push_back({product(a, from, b, to), time / unit});
      problem.add(std::move(row));
    }
}

GpuProgram gpu_program(const GpuCase& c, const GpuOf& gpu_of, Window window, double unit) {
  GpuProgram program;
  IlpProblem& problem = program.problem;
  for (size_t layer = window.first; layer < window.end; ++layer)
    program.columns.push_back(add_layer(problem, c, layer));
  if (window.first > 0)
    add_fixed_side(problem, c, window.first - 1, gpu_of[window.first - 1], program.columns.front(), true, unit);
  for (size_t i = 0; i + 1 < program.columns.size(); ++i)
    add_products(problem, c, window.first + i, program.columns[i], program.columns[i + 1], unit);
  if (window.end < gpu_of.size())
    add_fixed_side(problem, c, window.end - 1, gpu_of[window.end], program.columns.back(), false, unit);
  return program;
}

// The start needs every column: products and slowest pairs follow from the GPUs.
void set_gpu_start(const GpuCase& c, const GpuOf& gpu_of, Window window, double unit, GpuProgram& program) {
  IlpProblem& problem = program.problem;
  problem.start.assign(problem.columns.size(), 0);
  for (size_t i = 0; i < program.columns.size(); ++i) set_start(problem, program.columns[i], gpu_of[window.first + i]);
  size_t at = program.columns.size() * c.gpus * c.gpus;
  const auto add_slowest = [&](size_t layer) {
    problem.start[at++] = slowest_pair(c, layer, gpu_of[layer], gpu_of[layer + 1]) / unit;
  };
  if (window.first > 0) add_slowest(window.first - 1);
  for (size_t layer = window.first; layer + 1 < window.end; ++layer) {
    for (size_t a = 0; a < c.gpus; ++a)
      for (size_t b = 0; b < c.gpus; ++b)
        problem.start[at + ((a * c.gpus + size_t(gpu_of[layer][a])) * c.gpus + b) * c.gpus +
                      size_t(gpu_of[layer + 1][b])] = 1;
    at += c.gpus * c.gpus * c.gpus * c.gpus;
    add_slowest(layer);
  }
  if (window.end < gpu_of.size()) add_slowest(window.end - 1);
  CHECK(at == problem.columns.size());
}

IlpSolution search_window(const GpuCase& c, Window window, const ProgramOptions& options, GpuAnswer& answer) {
  const double unit = answer.proof.objective;
  GpuProgram program = gpu_program(c, answer.gpu_of, window, unit);
  set_gpu_start(c, answer.gpu_of, window, unit, program);
  IlpSolution solution = solve(program.problem, options);
  add_search(answer.proof, solution);
  if (solution.values.empty()) return solution;
  GpuOf found = answer.gpu_of;
  for (size_t i = 0; i < program.columns.size(); ++i)
    found[window.first + i] = gpus_in(solution.values, program.columns[i]);
  const double cost = slowest_pairs(c, found);
  if (cost < answer.proof.objective * (1 - 1e-9)) {
    answer.gpu_of = std::move(found);
    answer.proof.objective = cost;
  }
  return solution;
}

}  // namespace

GpuCase gpu_case(const PlacementInput& in, const std::vector<std::vector<int32_t>>& cluster_of) {
  const size_t gpus = size_t(in.gpus);
  const size_t experts = size_t(in.experts);
  GpuCase c{gpus, {}, std::vector<double>(gpus * gpus, 0), {}};
  for (size_t layer = 0; layer < in.transitions.size(); ++layer) {
    std::vector<double>& tokens = c.tokens.emplace_back(gpus * gpus, 0);
    for (size_t a = 0; a < experts; ++a)
      for (size_t b = 0; b < experts; ++b)
        tokens[size_t(cluster_of[layer][a]) * gpus + size_t(cluster_of[layer + 1][b])] +=
            double(in.transitions[layer][a * experts + b]);
  }
  for (size_t pair = 0; pair < gpus * gpus; ++pair) {
    if (pair / gpus == pair % gpus) continue;
    if (in.costs.path.empty())
      c.token_s[pair] = 1;
    else
      for (const int32_t link : in.costs.path[pair])
        c.token_s[pair] = std::max(c.token_s[pair], in.costs.link_s[size_t(link)] * in.costs.dispatch_bytes);
  }
  for (const std::vector<int32_t>& clusters : cluster_of) {
    std::vector<int32_t> size(gpus, 0);
    for (const int32_t cluster : clusters) ++size[size_t(cluster)];
    auto& fits = c.fits.emplace_back(gpus, std::vector<bool>(gpus));
    for (size_t cluster = 0; cluster < gpus; ++cluster)
      for (size_t gpu = 0; gpu < gpus; ++gpu) fits[cluster][gpu] = size[cluster] <= slots_of(in, gpu);
  }
  return c;
}

double slowest_pairs(const GpuCase& c, const std::vector<std::vector<int32_t>>& gpu_of) {
  double sum = 0;
  for (size_t layer = 0; layer < c.tokens.size(); ++layer)
    sum += slowest_pair(c, layer, gpu_of[layer], gpu_of[layer + 1]);
  return sum;
}

GpuAnswer assign_gpus(const GpuCase& c, const ProgramOptions& options) {
  GpuAnswer answer;
  answer.gpu_of.assign(c.fits.size(), std::vector<int32_t>(c.gpus));
  for (std::vector<int32_t>& gpus : answer.gpu_of) std::iota(gpus.begin(), gpus.end(), 0);
  if (c.tokens.empty()) return answer;
  descend(c, answer.gpu_of);
  PlacementProof& proof = answer.proof;
  proof.objective = slowest_pairs(c, answer.gpu_of);
  for (size_t layer = 0; layer < c.tokens.size(); ++layer) proof.bound += bound_of_transition(c, layer);
  const auto is_proved = [&] {
    return proof.objective - proof.bound <= options.gap.fraction * proof.objective + 1e-12;
  };
  const size_t layers = c.fits.size();
  const size_t columns = (layers - 1) * c.gpus * c.gpus * c.gpus * c.gpus;
  if (is_proved()) return answer;
  if (columns <= size_t(options.columns_max)) {
    const double unit = proof.objective;
    const IlpSolution solution = search_window(c, {0, layers}, options, answer);
    proof.bound = std::max(proof.bound, solution.bound * unit);
  } else if (c.gpus * c.gpus <= size_t(options.columns_max)) {
    for (size_t layer = 0; layer < layers && !is_proved(); ++layer)
      search_window(c, {layer, layer + 1}, options, answer);
  }
  proof.bound = std::min(proof.bound, proof.objective);
  return answer;
}

}  // namespace moesim
