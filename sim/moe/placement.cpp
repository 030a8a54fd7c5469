#include "sim/moe/placement.h"

#include <algorithm>

#include "sim/core/check.h"
#include "sim/moe/slot_map.h"

namespace moesim {
namespace {

using Hosts = std::vector<std::vector<GpuId>>;  // of one layer: [expert]

void check_hosts(const Hosts& layer, const PlacementInput& input) {
  CHECK(layer.size() == size_t(input.experts));
  std::vector<int32_t> used(size_t(input.gpus), 0);
  for (const std::vector<GpuId>& hosts : layer) {
    CHECK(!hosts.empty());
    for (const GpuId gpu : hosts) {
      CHECK(index(gpu) < size_t(input.gpus));
      CHECK(++used[index(gpu)] <= slots_of(input, index(gpu)));
    }
  }
}

// The hosts that the slots give each expert are those that it has, in whatever order.
void check_slots(const Placement& placement, const PlacementInput& input) {
  CHECK(placement.physical_to_logical.size() == size_t(input.layers));
  Placement sorted = placement;
  for (Hosts& layer : sorted.hosts)
    for (std::vector<GpuId>& hosts : layer) std::sort(hosts.begin(), hosts.end());
  CHECK(placement_of(placement.physical_to_logical, slots_of_gpus(input), input.experts).hosts == sorted.hosts);
}

}  // namespace

int32_t slots_of(const PlacementInput& in, size_t gpu) { return in.slots.empty() ? in.slots_per_gpu : in.slots[gpu]; }

int64_t slots_total(const PlacementInput& in) {
  int64_t total = 0;
  for (size_t gpu = 0; gpu < size_t(in.gpus); ++gpu) total += slots_of(in, gpu);
  return total;
}

std::vector<GpuId> gpu_of_slots(const PlacementInput& in) {
  std::vector<GpuId> gpus;
  for (size_t gpu = 0; gpu < size_t(in.gpus); ++gpu) gpus.insert(gpus.end(), size_t(slots_of(in, gpu)), GpuId(gpu));
  return gpus;
}

bool has_copies(const Placement& placement) {
  for (const Hosts& layer : placement.hosts)
    for (const std::vector<GpuId>& hosts : layer)
      if (hosts.size() > 1) return true;
  return false;
}

void check_placement(const Placement& placement, const PlacementInput& input) {
  CHECK(input.slots.empty() || input.slots.size() == size_t(input.gpus));
  CHECK(placement.hosts.size() == size_t(input.layers));
  for (const Hosts& layer : placement.hosts) check_hosts(layer, input);
  if (!placement.physical_to_logical.empty()) check_slots(placement, input);
}

std::vector<GpuId> contiguous_gpus(const PlacementInput& in) {
  const std::vector<GpuId> gpu_of_slot = gpu_of_slots(in);
  const int64_t slots = int64_t(gpu_of_slot.size());
  CHECK(in.experts <= slots);
  std::vector<GpuId> gpus;
  for (int64_t expert = 0; expert < in.experts; ++expert)
    gpus.push_back(gpu_of_slot[size_t(expert * slots / in.experts)]);
  return gpus;
}

Placement contiguous_placement(const PlacementInput& in) {
  const std::vector<GpuId> gpus = contiguous_gpus(in);
  return place_each(in, [&](int32_t, int32_t expert) { return gpus[size_t(expert)]; });
}

}  // namespace moesim
