// EPLB, the balancer that DeepSeek published: copies for the experts with the highest load a copy, packed into GPUs by
// falling load. With groups of experts that divide among the servers, groups go to servers first and copies stay in
// their server; else all is done at once over all GPUs. Where two choices are equal the first wins. Loads are float,
// as in the published code, since another rounding would break other ties.

#include <algorithm>
#include <numeric>
#include <span>

#include "sim/core/check.h"
#include "sim/moe/placement.h"
#include "sim/moe/slot_map.h"

namespace moesim {
namespace {

// Which pack each item is in, and its place there, by order of packing.
struct Packing {
  std::vector<int32_t> pack;
  std::vector<int32_t> place;
};

// Items by falling weight, each to the lightest pack that has room. One item a pack needs no search.
Packing pack_balanced(std::span<const float> weights, std::span<const int32_t> room) {
  const size_t items = weights.size();
  Packing packing{std::vector<int32_t>(items, 0), std::vector<int32_t>(items, 0)};
  if (items == room.size() && std::all_of(room.begin(), room.end(), [](int32_t r) { return r == 1; })) {
    std::iota(packing.pack.begin(), packing.pack.end(), 0);
    return packing;
  }
  std::vector<size_t> heaviest_first(items);
  std::iota(heaviest_first.begin(), heaviest_first.end(), size_t{0});
  std::stable_sort(heaviest_first.begin(), heaviest_first.end(),
                   [&](size_t a, size_t b) { return weights[a] > weights[b]; });
  std::vector<float> weight(room.size(), 0);
  std::vector<int32_t> used(room.size(), 0);
  for (const size_t item : heaviest_first) {
    size_t lightest = room.size();
    for (size_t pack = 0; pack < room.size(); ++pack)
      if (used[pack] < room[pack] && (lightest == room.size() || weight[pack] < weight[lightest])) lightest = pack;
    CHECK(lightest < room.size());
    packing.pack[item] = int32_t(lightest);
    packing.place[item] = used[lightest]++;
    weight[lightest] += weights[item];
  }
  return packing;
}

// The expert that each copy is of: one copy each, in order, then one more of the expert with the highest load a copy.
std::vector<size_t> replicate(std::span<const float> weights, size_t copies) {
  CHECK(copies >= weights.size());
  std::vector<size_t> expert_of(weights.size());
  std::iota(expert_of.begin(), expert_of.end(), size_t{0});
  std::vector<float> count(weights.size(), 1);
  while (expert_of.size() < copies) {
    size_t hottest = 0;
    for (size_t expert = 1; expert < weights.size(); ++expert)
      if (weights[expert] / count[expert] > weights[hottest] / count[hottest]) hottest = expert;
    expert_of.push_back(hottest);
    ++count[hottest];
  }
  return expert_of;
}

// Fills the slots from `first` on, of GPUs with these numbers of slots, with copies of these experts.
void fill_slots(std::span<const float> weights, std::span<const size_t> experts, std::span<const int32_t> room,
                size_t first, std::vector<int32_t>& slots) {
  std::vector<float> loads;
  for (const size_t expert : experts) loads.push_back(weights[expert]);
  const size_t copies = size_t(std::accumulate(room.begin(), room.end(), int64_t{0}));
  const std::vector<size_t> copy_of = replicate(loads, copies);
  std::vector<float> count(loads.size(), 0);
  for (const size_t expert : copy_of) ++count[expert];
  std::vector<float> load_of_copy;
  for (const size_t expert : copy_of) load_of_copy.push_back(loads[expert] / count[expert]);

  std::vector<size_t> begin(room.size(), first);
  for (size_t gpu = 1; gpu < room.size(); ++gpu) begin[gpu] = begin[gpu - 1] + size_t(room[gpu - 1]);
  const Packing packing = pack_balanced(load_of_copy, room);
  for (size_t copy = 0; copy < copies; ++copy)
    slots[begin[size_t(packing.pack[copy])] + size_t(packing.place[copy])] = int32_t(experts[copy_of[copy]]);
}

// [server] the experts of the groups that are packed into it, in the order of packing.
std::vector<std::vector<size_t>> experts_of_nodes(std::span<const float> weights, size_t groups, size_t nodes) {
  const size_t group_size = weights.size() / groups;
  std::vector<float> group_load(groups, 0);
  for (size_t expert = 0; expert < weights.size(); ++expert) group_load[expert / group_size] += weights[expert];
  const Packing packing = pack_balanced(group_load, std::vector<int32_t>(nodes, int32_t(groups / nodes)));
  std::vector<std::vector<size_t>> experts(nodes, std::vector<size_t>(weights.size() / nodes));
  for (size_t expert = 0; expert < weights.size(); ++expert) {
    const size_t group = expert / group_size;
    experts[size_t(packing.pack[group])][size_t(packing.place[group]) * group_size + expert % group_size] = expert;
  }
  return experts;
}

// Whether groups of experts can go to servers first: the servers are alike, and groups divide among them.
bool is_hierarchical(const PlacementInput& in) {
  return in.slots.empty() && in.gpus_per_node > 0 && in.gpus % in.gpus_per_node == 0 &&
         in.groups % (in.gpus / in.gpus_per_node) == 0 && in.experts % in.groups == 0;
}

Placement place_eplb(const PlacementInput& in, const NoOptions&, Rng&) {
  const size_t nodes = is_hierarchical(in) ? size_t(in.gpus / in.gpus_per_node) : 1;
  const size_t groups = is_hierarchical(in) ? size_t(in.groups) : 1;
  const size_t gpus_per_node = size_t(in.gpus) / nodes;
  std::vector<int32_t> room;
  for (size_t gpu = 0; gpu < size_t(in.gpus); ++gpu) room.push_back(slots_of(in, gpu));

  std::vector<std::vector<int32_t>> layers;
  for (const std::vector<int64_t>& past_load : in.past_load) {
    const std::vector<float> weights(past_load.begin(), past_load.end());
    std::vector<int32_t>& slots = layers.emplace_back(size_t(slots_total(in)), kEmptySlot);
    const auto experts = experts_of_nodes(weights, groups, nodes);
    for (size_t node = 0; node < nodes; ++node) {
      const std::span<const int32_t> node_room = std::span(room).subspan(node * gpus_per_node, gpus_per_node);
      fill_slots(weights, experts[node], node_room, node * gpus_per_node * size_t(in.slots_per_gpu), slots);
    }
  }
  return placement_of(layers, slots_of_gpus(in), in.experts);
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "eplb", "copies of the hottest experts, packed by falling load; groups of experts to servers first", place_eplb,
    {PlacementNeeds::loads});

}  // namespace
}  // namespace moesim
