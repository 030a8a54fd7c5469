// Replication that knows the topology. Spare slots get copies of the experts with the highest load a copy. Copies of an
// expert go to different GPUs, then servers, then rails, so that no one link or server has to take what a hot expert
// attracts; among GPUs equal in this, to the one that would be done first. Swaps that pay follow.

#include <algorithm>
#include <numeric>
#include <tuple>

#include "sim/core/check.h"
#include "sim/moe/placement_cost.h"
#include "sim/moe/slot_map.h"
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

// [expert] copies: one each, then one more of the expert with the highest load a copy, at most one a GPU.
std::vector<int32_t> copies_of(const std::vector<int64_t>& past_load, int64_t slots, int32_t gpus) {
  std::vector<int32_t> copies(past_load.size(), 1);
  for (int64_t spare = slots - int64_t(copies.size()); spare > 0; --spare) {
    size_t hottest = past_load.size();
    double most = -1;
    for (size_t expert = 0; expert < past_load.size(); ++expert) {
      const double load = double(past_load[expert]) / copies[expert];
      if (copies[expert] == gpus || load <= most) continue;
      hottest = expert;
      most = load;
    }
    if (hottest == past_load.size()) break;  // a copy of each on every GPU
    ++copies[hottest];
  }
  return copies;
}

// Places the copies of a layer, one expert after another.
struct Filling {
  const PlacementInput& in;
  const SlotPlaces& places;
  const std::vector<double>& token_s;
  std::vector<double> busy;    // [gpu]
  std::vector<int32_t> used;   // [gpu] slots
  std::vector<int32_t> nodes;  // [server] copies of the expert that is being placed
  std::vector<int32_t> rails;  // [rail]
  std::vector<int32_t> gpus;   // [gpu]
};

size_t next_gpu(const Filling& filling, double load) {
  const size_t gpus = filling.busy.size();
  size_t best = gpus;
  const auto rank = [&](size_t gpu) {
    return std::tuple(filling.gpus[gpu], filling.nodes[size_t(filling.places.node[gpu])],
                      filling.rails[size_t(filling.places.rail[gpu])], filling.busy[gpu] + load * filling.token_s[gpu]);
  };
  for (size_t gpu = 0; gpu < gpus; ++gpu)
    if (filling.used[gpu] < slots_of(filling.in, gpu) && (best == gpus || rank(gpu) < rank(best))) best = gpu;
  CHECK(best < gpus);
  return best;
}

std::vector<std::vector<GpuId>> fill_layer(const PlacementInput& in, const SlotPlaces& places,
                                           const std::vector<double>& token_s, const std::vector<int64_t>& past_load) {
  const size_t gpus = size_t(in.gpus);
  const std::vector<int32_t> copies = copies_of(past_load, slots_total(in), in.gpus);
  const auto load_of_copy = [&](size_t expert) { return double(past_load[expert]) / copies[expert]; };
  std::vector<size_t> heaviest_first(past_load.size());
  std::iota(heaviest_first.begin(), heaviest_first.end(), size_t{0});
  std::stable_sort(heaviest_first.begin(), heaviest_first.end(),
                   [&](size_t a, size_t b) { return load_of_copy(a) > load_of_copy(b); });

  Filling filling{in, places, token_s, std::vector<double>(gpus, 0), std::vector<int32_t>(gpus, 0), {}, {}, {}};
  std::vector<std::vector<GpuId>> hosts(past_load.size());
  for (const size_t expert : heaviest_first) {
    filling.nodes.assign(gpus, 0);
    filling.rails.assign(gpus, 0);
    filling.gpus.assign(gpus, 0);
    for (int32_t copy = 0; copy < copies[expert]; ++copy) {
      const size_t gpu = next_gpu(filling, load_of_copy(expert));
      hosts[expert].push_back(GpuId(gpu));
      filling.busy[gpu] += load_of_copy(expert) * token_s[gpu];
      ++filling.used[gpu];
      ++filling.nodes[size_t(places.node[gpu])];
      ++filling.rails[size_t(places.rail[gpu])];
      ++filling.gpus[gpu];
    }
  }
  return hosts;
}

Placement place_replicated(const PlacementInput& in, const ReplicatedOptions& options, Rng&) {
  CHECK(in.experts <= slots_total(in));
  const PlacementObjective objective = placement_objective(in);
  const SlotPlaces places = slot_places(in);
  Placement filled;
  for (const std::vector<int64_t>& past_load : in.past_load)
    filled.hosts.push_back(fill_layer(in, places, objective.token_s, past_load));
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
    place_replicated);

}  // namespace
}  // namespace moesim
