#include "sim/run/offload/hosted.h"

namespace moesim {

HostedExperts hosted_experts(const Placement& placement, int32_t ranks, int32_t experts) {
  HostedExperts hosted;
  hosted.layers = int32_t(placement.hosts.size());
  hosted.experts = experts;
  hosted.of_rank.assign(size_t(ranks), std::vector<std::vector<int32_t>>(placement.hosts.size()));
  for (size_t layer = 0; layer < placement.hosts.size(); ++layer)
    for (size_t expert = 0; expert < placement.hosts[layer].size(); ++expert)
      for (const GpuId host : placement.hosts[layer][expert])
        hosted.of_rank[index(host)][layer].push_back(int32_t(expert));
  return hosted;
}

}  // namespace moesim
