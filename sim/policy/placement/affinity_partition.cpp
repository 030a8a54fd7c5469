#include "sim/policy/placement/affinity_partition.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/policy/placement/assignment_program.h"

namespace moesim {
namespace {

constexpr int kWindowSweepsMax = 3;

// Layers that are free, between others that stay.
struct Window {
  size_t first = 0;
  size_t end = 0;
};

int64_t tokens_between(const PartProblem& p, size_t layer, size_t i, size_t j) {
  return p.in
      ->transitions[layer][size_t(p.members[layer][i]) * size_t(p.in->experts) + size_t(p.members[layer + 1][j])];
}

int64_t columns_of(const PartProblem& p, Window window) {
  int64_t columns = 0;
  for (size_t layer = window.first; layer < window.end; ++layer) {
    const size_t members = p.members[layer].size();
    columns += int64_t(members * p.slots.size());
    if (layer + 1 < window.end) columns += int64_t(members * p.members[layer + 1].size());
  }
  return columns;
}

struct PartProgram {
  IlpProblem problem;
  std::vector<AssignmentColumns> columns;  // [layer of the window][member][part]
};

// What tokens from and to a layer that stays cost is linear.
void add_fixed_layer(PartProgram& program, const PartProblem& p, const Parts& parts, size_t layer, size_t stays,
                     const AssignmentColumns& columns, double unit) {
  const size_t earlier = std::min(layer, stays);
  for (size_t i = 0; i < columns.size(); ++i)
    for (size_t j = 0; j < parts[stays].size(); ++j) {
      const int64_t tokens = earlier == layer ? tokens_between(p, layer, i, j) : tokens_between(p, stays, j, i);
      for (size_t part = 0; part < p.slots.size(); ++part)
        program.problem.columns[size_t(columns[i][part])].cost +=
            double(tokens) * p.distance[part][size_t(parts[stays][j])] / unit;
    }
}

// Between two free layers: a column for each pair of experts that share tokens, 1 where they are apart. Parts are all
// one step from each other here.
void add_free_layers(PartProgram& program, const PartProblem& p, const Parts& parts, size_t layer, size_t in_window,
                     double unit) {
  const AssignmentColumns& here = program.columns[in_window];
  const AssignmentColumns& next = program.columns[in_window + 1];
  for (size_t i = 0; i < here.size(); ++i)
    for (size_t j = 0; j < next.size(); ++j) {
      const int64_t tokens = tokens_between(p, layer, i, j);
      if (tokens == 0) continue;
      const int32_t apart = program.problem.add(IlpColumn{"apart", 0, 1, double(tokens) / unit, false});
      program.problem.start.resize(program.problem.columns.size(), 0);
      program.problem.start[size_t(apart)] = parts[layer][i] == parts[layer + 1][j] ? 0 : 1;
      for (size_t part = 0; part < p.slots.size(); ++part)
        program.problem.add(IlpRow{"apart", -kNoEnd, 0, {{here[i][part], 1}, {next[j][part], -1}, {apart, -1}}});
    }
}

bool has_equal_slots(const PartProblem& p) {
  return std::count(p.slots.begin(), p.slots.end(), p.slots[0]) == int64_t(p.slots.size());
}

// Where all layers are free, parts of equal slots differ in nothing: they are called by the first layer's members.
void rename_parts(const PartProblem& p, Parts& parts) {
  if (!has_equal_slots(p)) return;
  std::vector<int32_t> all;
  for (const std::vector<int32_t>& layer : parts) all.insert(all.end(), layer.begin(), layer.end());
  all = relabel(all, in_order(all.size()), p.slots.size());
  auto from = all.begin();
  for (std::vector<int32_t>& layer : parts)
    for (int32_t& part : layer) part = *from++;
}

PartProgram part_program(const PartProblem& p, const Parts& parts, Window window, double unit) {
  PartProgram program;
  for (size_t layer = window.first; layer < window.end; ++layer) {
    program.columns.push_back(
        add_assignment(program.problem, fmt::format("layer {}: ", layer), p.members[layer].size(), p.slots));
    set_start(program.problem, program.columns.back(), parts[layer]);
  }
  if (window.first > 0)
    add_fixed_layer(program, p, parts, window.first, window.first - 1, program.columns.front(), unit);
  for (size_t layer = window.first; layer + 1 < window.end; ++layer)
    add_free_layers(program, p, parts, layer, layer - window.first, unit);
  if (window.end < parts.size())
    add_fixed_layer(program, p, parts, window.end - 1, window.end, program.columns.back(), unit);
  if (window.first == 0 && window.end == parts.size() && has_equal_slots(p)) {
    break_symmetry(program.problem, program.columns[0], in_order(p.members[0].size()));
  }
  return program;
}

// The solution's bound is that of the whole only where the window is.
IlpSolution search_window(const PartProblem& p, Window window, const ProgramOptions& options, PartAnswer& answer) {
  const double unit = answer.proof.objective;
  const PartProgram program = part_program(p, answer.parts, window, unit);
  IlpSolution solution = solve(program.problem, options);
  add_search(answer.proof, solution);
  if (solution.values.empty()) return solution;
  Parts found = answer.parts;
  for (size_t i = 0; i < program.columns.size(); ++i)
    found[window.first + i] = gpus_in(solution.values, program.columns[i]);
  const double cut = cut_of(p, found);
  if (cut < answer.proof.objective) {
    answer.parts = std::move(found);
    answer.proof.objective = cut;
  }
  return solution;
}

void search_windows(const PartProblem& p, size_t length, const ProgramOptions& options, PartAnswer& answer) {
  const size_t layers = p.members.size();
  double before = kNoEnd;
  for (int turn = 0; answer.proof.objective < before && turn < kWindowSweepsMax; ++turn) {
    before = answer.proof.objective;
    for (size_t first = 0; first + length <= layers && answer.proof.objective > 0; ++first)
      if (columns_of(p, {first, first + length}) <= options.columns_max)
        search_window(p, {first, first + length}, options, answer);
    sweep(p, answer.parts, kSweepsMax);
    answer.proof.objective = cut_of(p, answer.parts);
  }
}

// The members that lie in parts [begin, end).
std::vector<std::vector<int32_t>> members_in(const PartProblem& p, const Parts& parts, int32_t side) {
  std::vector<std::vector<int32_t>> members(parts.size());
  for (size_t layer = 0; layer < parts.size(); ++layer)
    for (size_t i = 0; i < parts[layer].size(); ++i)
      if (parts[layer][i] == side) members[layer].push_back(p.members[layer][i]);
  return members;
}

}  // namespace

std::vector<size_t> in_order(size_t count) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  return order;
}

PartAnswer solve_parts(const PartProblem& p, int32_t window, const ProgramOptions& options) {
  PartAnswer answer{contiguous_parts(p), {}};
  Parts chained = chained_parts(p, answer.parts[0]);
  sweep(p, chained, kSweepsMax);
  sweep(p, answer.parts, kSweepsMax);
  if (cut_of(p, chained) <= cut_of(p, answer.parts)) answer.parts = std::move(chained);
  rename_parts(p, answer.parts);
  PlacementProof& proof = answer.proof;
  proof.objective = cut_of(p, answer.parts);
  if (proof.objective == 0 || p.slots.size() < 2) return answer;
  const double unit = proof.objective;
  const size_t layers = p.members.size();
  if (columns_of(p, {0, layers}) <= options.columns_max) {
    const IlpSolution solution = search_window(p, {0, layers}, options, answer);
    proof.bound = std::clamp(solution.bound * unit, 0.0, proof.objective);
    rename_parts(p, answer.parts);
  } else {
    search_windows(p, std::min(size_t(window), layers), options, answer);
  }
  return answer;
}

PartAnswer bisect_parts(const PartProblem& p, size_t per_node, const SolveParts& solve) {
  if (p.slots.size() < 2) return {contiguous_parts(p), {}};
  const size_t nodes = p.slots.size() / per_node;
  const auto middle = p.slots.begin() + int64_t(nodes > 1 ? nodes / 2 * per_node : p.slots.size() / 2);
  const std::vector<int32_t> slots[2] = {{p.slots.begin(), middle}, {middle, p.slots.end()}};
  const PartAnswer halves = solve(part_problem(
      *p.in, p.members, {std::accumulate(p.slots.begin(), middle, 0), std::accumulate(middle, p.slots.end(), 0)}));
  PartAnswer answer{halves.parts, {}};
  add_part(answer.proof, halves.proof);
  for (const int32_t side : {0, 1}) {
    const PartAnswer half =
        bisect_parts(part_problem(*p.in, members_in(p, halves.parts, side), slots[side]), per_node, solve);
    add_part(answer.proof, half.proof);
    for (size_t layer = 0; layer < halves.parts.size(); ++layer)
      for (size_t i = 0, next = 0; i < halves.parts[layer].size(); ++i)
        if (halves.parts[layer][i] == side)
          answer.parts[layer][i] = half.parts[layer][next++] + (side == 0 ? 0 : int32_t(slots[0].size()));
  }
  answer.proof.objective = cut_of(p, answer.parts);
  answer.proof.bound = 0;
  return answer;
}

}  // namespace moesim
