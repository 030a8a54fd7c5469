#include "sim/policy/placement/copy_filling.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "sim/core/check.h"

namespace moesim {
namespace {

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

}  // namespace

std::vector<int32_t> copies_of(std::span<const double> load, int64_t slots, int32_t gpus) {
  std::vector<int32_t> copies(load.size(), 1);
  for (int64_t spare = slots - int64_t(copies.size()); spare > 0; --spare) {
    size_t hottest = load.size();
    double most = -1;
    for (size_t expert = 0; expert < load.size(); ++expert) {
      const double share = load[expert] / copies[expert];
      if (copies[expert] == gpus || share <= most) continue;
      hottest = expert;
      most = share;
    }
    if (hottest == load.size()) break;  // a copy of each on every GPU
    ++copies[hottest];
  }
  return copies;
}

std::vector<std::vector<GpuId>> fill_layer(const PlacementInput& in, const SlotPlaces& places,
                                           const std::vector<double>& token_s, std::span<const double> load,
                                           std::span<const int32_t> copies) {
  const size_t gpus = size_t(in.gpus);
  const auto load_of_copy = [&](size_t expert) { return load[expert] / copies[expert]; };
  std::vector<size_t> heaviest_first(load.size());
  std::iota(heaviest_first.begin(), heaviest_first.end(), size_t{0});
  std::stable_sort(heaviest_first.begin(), heaviest_first.end(),
                   [&](size_t a, size_t b) { return load_of_copy(a) > load_of_copy(b); });

  Filling filling{in, places, token_s, std::vector<double>(gpus, 0), std::vector<int32_t>(gpus, 0), {}, {}, {}};
  std::vector<std::vector<GpuId>> hosts(load.size());
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

}  // namespace moesim
