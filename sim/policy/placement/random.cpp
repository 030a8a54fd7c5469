// Random placement: each layer a fresh permutation of the experts, in equal blocks.

#include "sim/core/random.h"

#include <numeric>

#include "sim/moe/placement.h"

namespace moesim {
namespace {

Placement place_random(const PlacementInput& in, const NoOptions&, Rng& rng) {
  std::vector<std::vector<int32_t>> place(size_t(in.layers), std::vector<int32_t>(size_t(in.experts)));
  for (std::vector<int32_t>& layer : place) {
    std::iota(layer.begin(), layer.end(), 0);
    rng.shuffle(std::span(layer));
  }
  const std::vector<GpuId> block = contiguous_gpus(in);
  return place_each(in,
                    [&](int32_t layer, int32_t expert) { return block[size_t(place[size_t(layer)][size_t(expert)])]; });
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "random", "a fresh permutation of the experts in each layer, in equal blocks", place_random,
    {PlacementNeeds::loads});

}  // namespace
}  // namespace moesim
