#include "sim/moe/shuffle.h"

#include <algorithm>
#include <numeric>

namespace moesim {

double max_over_mean_weight(const ShuffleInput& in, std::span<const int32_t> rank) {
  std::vector<int64_t> load(size_t(in.ranks), 0);
  for (size_t item = 0; item < rank.size(); ++item) load[size_t(rank[item])] += in.weight[item];
  const int64_t total = std::accumulate(load.begin(), load.end(), int64_t{0});
  return total == 0 ? 1 : double(*std::max_element(load.begin(), load.end())) * double(in.ranks) / double(total);
}

}  // namespace moesim
