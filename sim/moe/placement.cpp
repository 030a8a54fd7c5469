#include "sim/moe/placement.h"

#include <set>

#include "sim/core/check.h"

namespace moesim {

void check_placement(const Placement& placement, const PlacementInput& input) {
  CHECK(placement.hosts.size() == size_t(input.layers));
  for (const auto& layer : placement.hosts) {
    CHECK(layer.size() == size_t(input.experts));
    std::vector<int32_t> used(size_t(input.gpus), 0);
    for (const std::vector<GpuId>& hosts : layer) {
      CHECK(!hosts.empty());
      CHECK(std::set<GpuId>(hosts.begin(), hosts.end()).size() == hosts.size());
      for (const GpuId gpu : hosts) {
        CHECK(index(gpu) < size_t(input.gpus));
        CHECK(++used[index(gpu)] <= input.slots_per_gpu);
      }
    }
  }
}

}  // namespace moesim
