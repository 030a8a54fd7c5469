#include "traces/expert_scaling.h"

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/core/random.h"
#include "traces/statistics.h"

namespace moesim {
namespace {

std::vector<int64_t> layers_back_and_forth(int64_t recorded, int64_t wanted) {
  const int64_t shallowest = std::max<int64_t>(0, std::min(recorded / 4, recorded - 2));
  std::vector<int64_t> layers;
  int64_t at = -1;
  int64_t step = 1;
  while (int64_t(layers.size()) < wanted) {
    if (at == recorded - 1 && recorded > 1) step = -1;
    if (step == -1 && at == shallowest) step = 1;
    at = recorded == 1 ? 0 : at + step;
    layers.push_back(at);
  }
  return layers;
}

}  // namespace

ExpertScaling::ExpertScaling(const RoutingTrace& recorded, RoutingShape wanted, uint64_t seed)
    : recorded_layers_(recorded.layers),
      recorded_experts_(recorded.experts),
      keeps_experts_(recorded.experts == wanted.experts),
      wanted_(wanted),
      source_layers_(layers_back_and_forth(recorded.layers, wanted.layers)) {
  CHECK(wanted.experts >= 1 && wanted.experts <= kTraceExpertsMax && wanted.top_k <= wanted.experts);
  first_part_.resize(size_t(wanted.layers * recorded.experts));
  parts_.resize(first_part_.size());
  numbers_.resize(size_t(wanted.layers * wanted.experts));
  for (int64_t layer = 0; layer < wanted.layers; ++layer)
    map_layer(expert_load(recorded, source_layer(layer), all_tokens(recorded)), layer, seed);
}

void ExpertScaling::map_layer(const std::vector<int64_t>& load, int64_t layer, uint64_t seed) {
  std::vector<uint16_t> by_load(load.size());
  std::iota(by_load.begin(), by_load.end(), uint16_t{0});
  if (!keeps_experts_)
    std::stable_sort(by_load.begin(), by_load.end(), [&](uint16_t a, uint16_t b) { return load[a] > load[b]; });
  for (int64_t rank = 0; rank < recorded_experts_; ++rank) {
    const size_t cell = size_t(layer * recorded_experts_ + by_load[size_t(rank)]);
    const int64_t first = rank * wanted_.experts / recorded_experts_;
    const int64_t end = (rank + 1) * wanted_.experts / recorded_experts_;
    first_part_[cell] = uint16_t(first);
    parts_[cell] = uint16_t(std::max<int64_t>(1, end - first));
  }
  const std::span<uint16_t> numbers(numbers_.data() + layer * wanted_.experts, size_t(wanted_.experts));
  std::iota(numbers.begin(), numbers.end(), uint16_t{0});
  if (keeps_experts_ && !repeats(layer)) return;
  Rng rng(splitmix64(seed ^ splitmix64(uint64_t(layer))));
  rng.shuffle(numbers);
}

uint16_t ExpertScaling::expert(int64_t layer, uint16_t recorded, uint32_t key) const {
  if (recorded == kDropped) return kDropped;
  const size_t cell = size_t(layer * recorded_experts_ + recorded);
  uint64_t part = first_part_[cell];
  if (parts_[cell] > 1) part += splitmix64(uint64_t(key) << 32 ^ cell) % parts_[cell];
  return numbers_[size_t(layer * wanted_.experts) + part];
}

}  // namespace moesim
