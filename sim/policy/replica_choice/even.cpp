// Even split: each copy of an expert gets the same part of its tokens, whoever sends them.

#include "sim/moe/replica_choice.h"

namespace moesim {
namespace {

ReplicaShares split_even(const ReplicaInput& in, const NoOptions&, Rng&) {
  std::vector<double> share;
  for (const std::vector<GpuId>& hosts : in.hosts) share.insert(share.end(), hosts.size(), 1 / double(hosts.size()));
  return {{std::move(share)}};
}

[[maybe_unused]] const bool registered =
    Registry<ReplicaPolicy>::instance().add("even", "each copy gets the same part of the tokens", split_even);

}  // namespace
}  // namespace moesim
