#include "sim/moe/offload/cache.h"

#include "sim/core/check.h"

namespace moesim {

ExpertItem least_valuable(std::span<const ExpertItem> candidates, std::span<const double> value) {
  CHECK(!candidates.empty());
  ExpertItem least = candidates.front();
  for (const ExpertItem item : candidates)
    if (value[size_t(item)] < value[size_t(least)]) least = item;
  return least;
}

}  // namespace moesim
