// Nearest copy: on the token's own GPU, else on its server, else anywhere; evenly among those that are equally near.

#include <algorithm>

#include "sim/moe/replica_choice.h"

namespace moesim {
namespace {

int32_t distance(const ReplicaInput& in, size_t from, GpuId to) {
  if (from == index(to)) return 0;
  return in.node[from] == in.node[index(to)] ? 1 : 2;
}

ReplicaShares split_nearest(const ReplicaInput& in, const NoOptions&, Rng&) {
  ReplicaShares shares;
  for (size_t from = 0; from < in.node.size(); ++from) {
    std::vector<double>& row = shares.share.emplace_back();
    for (const std::vector<GpuId>& hosts : in.hosts) {
      int32_t nearest = 2;
      for (const GpuId gpu : hosts) nearest = std::min(nearest, distance(in, from, gpu));
      const auto is_near = [&](GpuId gpu) { return distance(in, from, gpu) == nearest; };
      const double near = double(std::count_if(hosts.begin(), hosts.end(), is_near));
      for (const GpuId gpu : hosts) row.push_back(is_near(gpu) ? 1 / near : 0);
    }
  }
  return shares;
}

[[maybe_unused]] const bool registered = Registry<ReplicaPolicy>::instance().add(
    "nearest", "a copy on the token's own GPU, else on its server, else any", split_nearest);

}  // namespace
}  // namespace moesim
