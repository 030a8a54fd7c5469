#include <algorithm>

#include "sim/core/check.h"
#include "sim/policy/placement/affinity_partition.h"
#include "sim/policy/placement/assignment.h"

namespace moesim {
namespace {

// Adds what each member of a layer costs in each part, by where those of a neighbouring layer are.
void add_costs(const PartProblem& p, const Parts& parts, size_t layer, size_t neighbour, std::vector<double>& cost) {
  const size_t count = p.slots.size();
  const size_t experts = size_t(p.in->experts);
  const bool is_before = neighbour < layer;
  const std::vector<int64_t>& tokens = p.in->transitions[is_before ? neighbour : layer];
  std::vector<double> with(count);  // tokens that the member has in common with those of each part
  for (size_t i = 0; i < p.members[layer].size(); ++i) {
    with.assign(count, 0);
    const size_t expert = size_t(p.members[layer][i]);
    for (size_t j = 0; j < p.members[neighbour].size(); ++j) {
      const size_t other = size_t(p.members[neighbour][j]);
      with[size_t(parts[neighbour][j])] +=
          double(is_before ? tokens[other * experts + expert] : tokens[expert * experts + other]);
    }
    for (size_t part = 0; part < count; ++part)
      for (size_t other = 0; other < count; ++other) cost[i * count + part] += with[other] * p.distance[part][other];
  }
}

double cost_of_layer(const std::vector<double>& cost, const std::vector<int32_t>& parts, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < parts.size(); ++i) sum += cost[i * count + size_t(parts[i])];
  return sum;
}

std::vector<int32_t> assigned(const std::vector<double>& cost, const PartProblem& p) {
  std::vector<int32_t> parts;
  for (const size_t part : cheapest_assignment(cost, p.slots)) parts.push_back(int32_t(part));
  return parts;
}

// Assigns one layer anew, given its neighbours, and says by how much that is cheaper.
double improve_layer(const PartProblem& p, Parts& parts, size_t layer) {
  std::vector<double> cost(p.members[layer].size() * p.slots.size(), 0);
  if (layer > 0) add_costs(p, parts, layer, layer - 1, cost);
  if (layer + 1 < parts.size()) add_costs(p, parts, layer, layer + 1, cost);
  std::vector<int32_t> better = assigned(cost, p);
  const double gain = cost_of_layer(cost, parts[layer], p.slots.size()) - cost_of_layer(cost, better, p.slots.size());
  if (gain <= 0) return 0;
  parts[layer] = std::move(better);
  return gain;
}

}  // namespace

PartProblem part_problem(const PlacementInput& in, std::vector<std::vector<int32_t>> members,
                         std::vector<int32_t> slots) {
  const size_t parts = slots.size();
  PartProblem p{&in, std::move(members), std::move(slots), std::vector(parts, std::vector<double>(parts, 1))};
  for (size_t part = 0; part < parts; ++part) p.distance[part][part] = 0;
  return p;
}

double cut_of(const PartProblem& p, const Parts& parts) {
  double cut = 0;
  for (size_t layer = 1; layer < parts.size(); ++layer) {
    std::vector<double> cost(p.members[layer].size() * p.slots.size(), 0);
    add_costs(p, parts, layer, layer - 1, cost);
    cut += cost_of_layer(cost, parts[layer], p.slots.size());
  }
  return cut;
}

std::vector<int32_t> filled_parts(const std::vector<size_t>& order, const std::vector<int32_t>& slots) {
  std::vector<int32_t> part_of_slot;
  for (size_t part = 0; part < slots.size(); ++part)
    part_of_slot.insert(part_of_slot.end(), size_t(slots[part]), int32_t(part));
  CHECK(order.size() <= part_of_slot.size());
  std::vector<int32_t> parts(order.size());
  for (size_t i = 0; i < order.size(); ++i) parts[order[i]] = part_of_slot[i * part_of_slot.size() / order.size()];
  return parts;
}

Parts contiguous_parts(const PartProblem& p) {
  Parts parts;
  for (const std::vector<int32_t>& members : p.members)
    parts.push_back(filled_parts(in_order(members.size()), p.slots));
  return parts;
}

Parts chained_parts(const PartProblem& p, std::vector<int32_t> first) {
  Parts parts{std::move(first)};
  for (size_t layer = 1; layer < p.members.size(); ++layer) {
    std::vector<double> cost(p.members[layer].size() * p.slots.size(), 0);
    add_costs(p, parts, layer, layer - 1, cost);
    parts.push_back(assigned(cost, p));
  }
  return parts;
}

void sweep(const PartProblem& p, Parts& parts, int32_t sweeps) {
  const size_t layers = parts.size();
  for (int32_t turn = 0; turn < sweeps; ++turn) {
    double gain = 0;
    for (size_t i = 0; i < layers; ++i) gain += improve_layer(p, parts, turn % 2 == 0 ? layers - 1 - i : i);
    if (gain <= 0) return;
  }
}

}  // namespace moesim
