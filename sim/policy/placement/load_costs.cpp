#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/policy/placement/load_program.h"

namespace moesim {
PlacementObjective product_costs(const PlacementInput& in, size_t layer) {
  PlacementObjective costs;
  costs.in_seconds = true;
  costs.token_s = in.costs.token_s;
  if (!costs.token_s.empty()) return costs;
  const std::vector<int64_t>& load = in.past_load[layer];
  const int64_t total = std::accumulate(load.begin(), load.end(), int64_t{0});
  costs.token_s.assign(size_t(in.gpus), total > 0 ? double(in.gpus) / double(total) : 1.0);
  return costs;
}

double cost_of_hosts(const PlacementObjective& costs, const std::vector<int64_t>& load, const LayerHosts& hosts) {
  return layer_cost(costs, gpu_loads(hosts, load, costs.token_s.size())).value;
}

// One more copy for the expert whose copies have the most each makes the largest share as small as it can be.
std::vector<int32_t> copies_by_load(const PlacementInput& in, const std::vector<int64_t>& load) {
  std::vector<int32_t> copies(load.size(), 1);
  const auto share = [&](size_t expert) { return double(load[expert]) / copies[expert]; };
  for (int64_t spare = slots_total(in) - in.experts; spare > 0; --spare) {
    size_t most = load.size();
    for (size_t expert = 0; expert < load.size(); ++expert)
      if (copies[expert] < in.gpus && (most == load.size() || share(expert) > share(most))) most = expert;
    if (most == load.size() || load[most] == 0) break;
    ++copies[most];
  }
  return copies;
}

double bound_of_products(const PlacementInput& in, const PlacementObjective& costs, const std::vector<int64_t>& load) {
  double speed = 0;  // tokens a unit of cost, of all GPUs that can host anything
  double fastest = kNoEnd;
  for (size_t gpu = 0; gpu < costs.token_s.size(); ++gpu) {
    if (slots_of(in, gpu) == 0) continue;
    if (costs.token_s[gpu] <= 0) return 0;
    speed += 1 / costs.token_s[gpu];
    fastest = std::min(fastest, costs.token_s[gpu]);
  }
  const std::vector<int32_t> copies = copies_by_load(in, load);
  double share = 0;
  for (size_t expert = 0; expert < load.size(); ++expert)
    share = std::max(share, double(load[expert]) / copies[expert]);
  const double total = double(std::accumulate(load.begin(), load.end(), int64_t{0}));
  return std::max(total / speed, share * fastest);
}

}  // namespace moesim
