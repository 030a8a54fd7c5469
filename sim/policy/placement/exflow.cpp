// ExFlow (arXiv 2401.08383): experts of all layers onto nodes and then onto the GPUs of each, so that tokens seldom
// leave their GPU between layers; a step to another GPU costs 1, to another node 2. Nodes by one integer program and
// GPUs by one a node where these are small enough, else by halves and by windows of layers; the best of all is refined
// by swaps.

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/policy/placement/affinity_partition.h"

namespace moesim {
namespace {

struct ExflowOptions : ProgramOptions {
  int32_t window = 1;
};

template <class Visitor>
void fields(Visitor& v, ExflowOptions& s) {
  fields(v, static_cast<ProgramOptions&>(s));
  v.optional("window", s.window, between(1, 16),
             "layers that one integer program places anew, where all at once are more than columns_max");
}

size_t node_of(const PlacementInput& in, size_t gpu) {
  return in.gpus_per_node > 0 ? gpu / size_t(in.gpus_per_node) : 0;
}

// All experts on all GPUs, by the distances between them.
PartProblem gpu_problem(const PlacementInput& in) {
  std::vector<int32_t> all(size_t(in.experts));
  std::iota(all.begin(), all.end(), 0);
  std::vector<int32_t> slots;
  for (size_t gpu = 0; gpu < size_t(in.gpus); ++gpu) slots.push_back(slots_of(in, gpu));
  PartProblem p = part_problem(in, std::vector(size_t(in.layers), all), slots);
  for (size_t a = 0; a < slots.size(); ++a)
    for (size_t b = 0; b < slots.size(); ++b)
      if (node_of(in, a) != node_of(in, b)) p.distance[a][b] = 2;
  return p;
}

int32_t largest(const std::vector<int32_t>& values) { return *std::max_element(values.begin(), values.end()); }

// Wherever an expert is, at most as many of the next layer as a part has slots can be with it: the others' tokens
// leave. The same holds the other way round.
int64_t bound_of_leaving(const PlacementInput& in, int32_t slots) {
  const size_t experts = size_t(in.experts);
  const size_t kept = std::min(size_t(slots), experts);
  int64_t bound = 0;
  for (const std::vector<int64_t>& tokens : in.transitions) {
    int64_t leaving[2] = {0, 0};
    for (const bool backwards : {false, true})
      for (size_t a = 0; a < experts; ++a) {
        std::vector<int64_t> row;
        for (size_t b = 0; b < experts; ++b)
          row.push_back(backwards ? tokens[b * experts + a] : tokens[a * experts + b]);
        std::sort(row.begin(), row.end());
        leaving[backwards] += std::accumulate(row.begin(), row.end() - int64_t(kept), int64_t{0});
      }
    bound += std::max(leaving[0], leaving[1]);
  }
  return bound;
}

std::vector<int32_t> slots_of_nodes(const PartProblem& gpus) {
  std::vector<int32_t> slots(node_of(*gpus.in, gpus.slots.size() - 1) + 1, 0);
  for (size_t gpu = 0; gpu < gpus.slots.size(); ++gpu) slots[node_of(*gpus.in, gpu)] += gpus.slots[gpu];
  return slots;
}

// Nodes first, then the GPUs of each.
PartAnswer by_nodes(const PartProblem& gpus, const ExflowOptions& options) {
  const PlacementInput& in = *gpus.in;
  const std::vector<int32_t> node_slots = slots_of_nodes(gpus);
  const PartAnswer nodes = solve_parts(part_problem(in, gpus.members, node_slots), options.window, options);
  PartAnswer answer{nodes.parts, {}};
  add_part(answer.proof, nodes.proof);
  for (size_t node = 0, first = 0; node < node_slots.size(); ++node) {
    std::vector<int32_t> slots;
    while (first + slots.size() < gpus.slots.size() && node_of(in, first + slots.size()) == node)
      slots.push_back(gpus.slots[first + slots.size()]);
    std::vector<std::vector<int32_t>> members(nodes.parts.size());
    for (size_t layer = 0; layer < members.size(); ++layer)
      for (size_t expert = 0; expert < nodes.parts[layer].size(); ++expert)
        if (nodes.parts[layer][expert] == int32_t(node)) members[layer].push_back(int32_t(expert));
    const PartAnswer inside = solve_parts(part_problem(in, members, slots), options.window, options);
    add_part(answer.proof, inside.proof);
    for (size_t layer = 0; layer < members.size(); ++layer)
      for (size_t i = 0; i < members[layer].size(); ++i)
        answer.parts[layer][size_t(members[layer][i])] = int32_t(first) + inside.parts[layer][i];
    first += slots.size();
  }
  // With one node its program is the whole problem. With several, theirs bounds what leaves a node, and nothing is
  // proved of what leaves a GPU beyond what no placement can keep.
  if (node_slots.size() > 1) answer.proof.bound = nodes.proof.bound + double(bound_of_leaving(in, largest(gpus.slots)));
  return answer;
}

double bound_of_gpus_and_nodes(const PartProblem& gpus) {
  const std::vector<int32_t> node_slots = slots_of_nodes(gpus);
  return double(bound_of_leaving(*gpus.in, largest(gpus.slots)) + bound_of_leaving(*gpus.in, largest(node_slots)));
}

Placement place_exflow(const PlacementInput& in, const ExflowOptions& options, Rng&) {
  CHECK(in.experts <= slots_total(in));
  if (in.transitions.empty()) {
    Placement placement = contiguous_placement(in);
    placement.proof.emplace().warnings.push_back(
        "nothing is known of transitions between layers: experts are in order");
    name_solver(*placement.proof);
    return placement;
  }
  const PartProblem gpus = gpu_problem(in);
  PartAnswer best{contiguous_parts(gpus), {}};
  PlacementProof proof;
  const double bound = bound_of_gpus_and_nodes(gpus);
  proof.bound = bound;
  const auto try_answer = [&](PartAnswer answer) {
    sweep(gpus, answer.parts, kSweepsMax);
    if (cut_of(gpus, answer.parts) < cut_of(gpus, best.parts)) best.parts = std::move(answer.parts);
    const double better_bound = std::max(proof.bound, answer.proof.bound);
    add_part(proof, answer.proof);
    proof.bound = better_bound;
  };
  try_answer({best.parts, {}});
  try_answer(by_nodes(gpus, options));
  if (cut_of(gpus, best.parts) > proof.bound * (1 + options.gap.fraction))
    try_answer(bisect_parts(gpus, size_t(std::max(1, in.gpus_per_node)),
                            [&](const PartProblem& p) { return solve_parts(p, options.window, options); }));
  proof.objective = cut_of(gpus, best.parts);
  proof.bound = std::min(proof.bound, proof.objective);
  name_solver(proof);
  Placement placement =
      place_each(in, [&](int32_t layer, int32_t expert) { return best.parts[size_t(layer)][size_t(expert)]; });
  placement.proof = proof;
  return placement;
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "exflow", "integer programs: few tokens leave their node and GPU between layers", place_exflow);

}  // namespace
}  // namespace moesim
