// Replication that knows the topology. Spare slots get copies of the experts with the highest load a copy. Copies of an
// expert go to different GPUs, then servers, then rails, so that no one link or server has to take what a hot expert
// attracts; among GPUs equal in this, to the one that would be done first. Swaps that pay follow.

#include "sim/core/check.h"
#include "sim/moe/placement_cost.h"
#include "sim/moe/slot_map.h"
#include "sim/policy/placement/copy_filling.h"
#include "sim/policy/placement/slot_search.h"

namespace moesim {
namespace {

struct ReplicatedOptions {
  int64_t checks = 4'000'000;
};

template <class Visitor>
void fields(Visitor& v, ReplicatedOptions& s) {
  v.optional("checks", s.checks, between(int64_t{0}, int64_t{1'000'000'000'000}),
             "pairs of slots to look at in each layer for swaps that pay");
}

Placement place_replicated(const PlacementInput& in, const ReplicatedOptions& options, Rng&) {
  CHECK(in.experts <= slots_total(in));
  const PlacementObjective objective = placement_objective(in);
  const SlotPlaces places = slot_places(in);
  Placement filled;
  for (const std::vector<int64_t>& past_load : in.past_load) {
    const std::vector<double> load(past_load.begin(), past_load.end());
    filled.hosts.push_back(fill_layer(in, places, objective.token_s, load, copies_of(load, slots_total(in), in.gpus)));
  }
  std::vector<std::vector<int32_t>> layers = slot_map(filled, slots_of_gpus(in));
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    SlotSearch search = slot_search(in, places, objective, layer, layers[layer]);
    int64_t checks = options.checks;
    descend(search, checks);
    layers[layer] = std::move(search.expert);
  }
  const Placement searched = placement_of(layers, slots_of_gpus(in), in.experts);
  return placement_of(cheapest_layers(in, objective, {searched, contiguous_placement(in)}), slots_of_gpus(in),
                      in.experts);
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "replicated", "copies of the hottest experts, spread over servers and rails, then swaps that lower the cost",
    place_replicated, {PlacementNeeds::costs});

}  // namespace
}  // namespace moesim
