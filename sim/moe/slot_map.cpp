#include "sim/moe/slot_map.h"

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"

namespace moesim {
namespace {

// Copies of experts that each GPU has in a layer: in order of expert, as often as it has copies.
std::vector<std::vector<int32_t>> experts_of_gpus(const std::vector<std::vector<GpuId>>& hosts, size_t gpus) {
  std::vector<std::vector<int32_t>> held(gpus);
  for (size_t expert = 0; expert < hosts.size(); ++expert)
    for (const GpuId gpu : hosts[expert]) {
      CHECK(index(gpu) < gpus);
      held[index(gpu)].push_back(int32_t(expert));
    }
  return held;
}

}  // namespace

std::vector<int32_t> slots_of_gpus(const PlacementInput& in) {
  return in.slots.empty() ? std::vector<int32_t>(size_t(in.gpus), in.slots_per_gpu) : in.slots;
}

SlotMap slot_map(const Placement& placement, std::span<const int32_t> slots) {
  if (!placement.physical_to_logical.empty()) return placement.physical_to_logical;
  SlotMap map;
  for (const auto& hosts : placement.hosts) {
    const auto held = experts_of_gpus(hosts, slots.size());
    std::vector<int32_t>& row = map.emplace_back();
    for (size_t gpu = 0; gpu < slots.size(); ++gpu) {
      CHECK(held[gpu].size() <= size_t(slots[gpu]));
      row.insert(row.end(), held[gpu].begin(), held[gpu].end());
      row.insert(row.end(), size_t(slots[gpu]) - held[gpu].size(), kEmptySlot);
    }
  }
  return map;
}

Placement placement_of(const SlotMap& map, std::span<const int32_t> slots, int32_t experts) {
  Placement placement;
  placement.physical_to_logical = map;
  for (const std::vector<int32_t>& row : map) {
    auto& hosts = placement.hosts.emplace_back(size_t(experts));
    size_t slot = 0;
    for (size_t gpu = 0; gpu < slots.size(); ++gpu)
      for (int32_t s = 0; s < slots[gpu]; ++s, ++slot) {
        CHECK(slot < row.size());
        if (row[slot] == kEmptySlot) continue;
        CHECK(row[slot] >= 0 && row[slot] < experts);
        hosts[size_t(row[slot])].push_back(GpuId(gpu));
      }
    CHECK(slot == row.size());
    for (const std::vector<GpuId>& of_expert : hosts) CHECK(!of_expert.empty());
  }
  return placement;
}

std::vector<double> gpu_loads(std::span<const int32_t> row, std::span<const int32_t> slots,
                              std::span<const int64_t> expert_load) {
  std::vector<int64_t> copies(expert_load.size(), 0);
  for (const int32_t expert : row)
    if (expert != kEmptySlot) ++copies[size_t(expert)];
  std::vector<double> loads;
  size_t slot = 0;
  for (const int32_t of_gpu : slots) {
    double load = 0;
    for (int32_t s = 0; s < of_gpu; ++s, ++slot)
      if (row[slot] != kEmptySlot) load += double(expert_load[size_t(row[slot])]) / double(copies[size_t(row[slot])]);
    loads.push_back(load);
  }
  return loads;
}

double max_over_mean(std::span<const double> loads) {
  const double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
  return sum <= 0 ? 1 : *std::max_element(loads.begin(), loads.end()) * double(loads.size()) / sum;
}

double relaxed_max_over_mean(std::span<const int64_t> expert_load, int32_t gpus, int64_t slots) {
  const double sum = double(std::accumulate(expert_load.begin(), expert_load.end(), int64_t{0}));
  if (sum <= 0) return 1;
  const int64_t copies = std::min<int64_t>(gpus, slots - int64_t(expert_load.size()) + 1);
  CHECK(copies >= 1);
  const double hottest = double(*std::max_element(expert_load.begin(), expert_load.end()));
  return std::max(1.0, hottest / double(copies) * gpus / sum);
}

}  // namespace moesim
