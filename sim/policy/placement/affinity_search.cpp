#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/policy/placement/affinity_partition.h"

namespace moesim {
namespace {

constexpr int kSweepsMax = 50;

int64_t tokens_between(const PartProblem& p, size_t layer, int32_t here, int32_t next) {
  return p.in->transitions[layer][size_t(here) * size_t(p.in->experts) + size_t(next)];
}

// [part] what the tokens of a member would cost there, by where the layers beside it are. `layers` of parts are known.
std::vector<int64_t> costs_of(const PartProblem& p, const Parts& parts, size_t layer, size_t member, size_t layers) {
  std::vector<int64_t> costs(p.slots.size(), 0);
  const auto add = [&](int64_t tokens, int32_t other) {
    if (tokens > 0)
      for (size_t part = 0; part < costs.size(); ++part) costs[part] += tokens * p.distance[part][size_t(other)];
  };
  const int32_t expert = p.members[layer][member];
  if (layer > 0)
    for (size_t i = 0; i < parts[layer - 1].size(); ++i)
      add(tokens_between(p, layer - 1, p.members[layer - 1][i], expert), parts[layer - 1][i]);
  if (layer + 1 < layers)
    for (size_t i = 0; i < parts[layer + 1].size(); ++i)
      add(tokens_between(p, layer, expert, p.members[layer + 1][i]), parts[layer + 1][i]);
  return costs;
}

bool descend_layer(const PartProblem& p, Parts& parts, size_t layer) {
  std::vector<int32_t>& here = parts[layer];
  std::vector<std::vector<int64_t>> costs;
  for (size_t i = 0; i < here.size(); ++i) costs.push_back(costs_of(p, parts, layer, i, parts.size()));
  std::vector<int32_t> room = p.slots;
  for (const int32_t part : here) --room[size_t(part)];
  const auto cost = [&](size_t member, int32_t part) { return costs[member][size_t(part)]; };
  bool has_gained = false;
  for (size_t a = 0; a < here.size(); ++a) {
    for (int32_t part = 0; part < int32_t(room.size()); ++part)
      if (room[size_t(part)] > 0 && cost(a, part) < cost(a, here[a])) {
        ++room[size_t(here[a])];
        --room[size_t(part)];
        here[a] = part;
        has_gained = true;
      }
    for (size_t b = 0; b < here.size(); ++b)
      if (cost(a, here[b]) + cost(b, here[a]) < cost(a, here[a]) + cost(b, here[b])) {
        std::swap(here[a], here[b]);
        has_gained = true;
      }
  }
  return has_gained;
}

// The pair of a member and a part that costs least by the layer before, as long as the part has room.
std::vector<int32_t> follow(const PartProblem& p, const Parts& parts, size_t layer) {
  struct Choice {
    int64_t cost;
    size_t member;
    int32_t part;
  };
  std::vector<Choice> choices;
  for (size_t i = 0; i < p.members[layer].size(); ++i) {
    const std::vector<int64_t> costs = costs_of(p, parts, layer, i, layer);
    const int64_t most = *std::max_element(costs.begin(), costs.end());
    for (size_t part = 0; part < costs.size(); ++part) choices.push_back({costs[part] - most, i, int32_t(part)});
  }
  std::stable_sort(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) { return a.cost < b.cost; });
  std::vector<int32_t> here(p.members[layer].size(), -1);
  std::vector<int32_t> room = p.slots;
  for (const Choice& choice : choices)
    if (here[choice.member] < 0 && room[size_t(choice.part)] > 0) {
      here[choice.member] = choice.part;
      --room[size_t(choice.part)];
    }
  return here;
}

}  // namespace

PartProblem part_problem(const PlacementInput& in, std::vector<std::vector<int32_t>> members,
                         std::vector<int32_t> slots) {
  const size_t parts = slots.size();
  PartProblem p{&in, std::move(members), std::move(slots), std::vector(parts, std::vector<int64_t>(parts, 1))};
  for (size_t part = 0; part < parts; ++part) p.distance[part][part] = 0;
  return p;
}

int64_t cut_of(const PartProblem& p, const Parts& parts) {
  int64_t cut = 0;
  for (size_t layer = 0; layer + 1 < parts.size(); ++layer)
    for (size_t i = 0; i < parts[layer].size(); ++i)
      for (size_t j = 0; j < parts[layer + 1].size(); ++j)
        cut += tokens_between(p, layer, p.members[layer][i], p.members[layer + 1][j]) *
               p.distance[size_t(parts[layer][i])][size_t(parts[layer + 1][j])];
  return cut;
}

Parts contiguous_parts(const PartProblem& p) {
  std::vector<int32_t> part_of_slot;
  for (size_t part = 0; part < p.slots.size(); ++part)
    part_of_slot.insert(part_of_slot.end(), size_t(p.slots[part]), int32_t(part));
  Parts parts;
  for (const std::vector<int32_t>& members : p.members) {
    CHECK(members.size() <= part_of_slot.size());
    std::vector<int32_t>& layer = parts.emplace_back();
    for (size_t i = 0; i < members.size(); ++i) layer.push_back(part_of_slot[i * part_of_slot.size() / members.size()]);
  }
  return parts;
}

void descend(const PartProblem& p, Parts& parts) {
  bool has_gained = true;
  for (int sweep = 0; has_gained && sweep < kSweepsMax; ++sweep) {
    has_gained = false;
    for (size_t layer = 0; layer < parts.size(); ++layer) has_gained |= descend_layer(p, parts, layer);
  }
}

Parts chained_parts(const PartProblem& p) {
  Parts parts = contiguous_parts(p);
  for (size_t layer = 1; layer < parts.size(); ++layer) parts[layer] = follow(p, parts, layer);
  descend(p, parts);
  return parts;
}

}  // namespace moesim
