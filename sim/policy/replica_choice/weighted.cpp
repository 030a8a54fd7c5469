// Weighted split: fixed parts that would have levelled the past loads; evenly where no past is known.

#include "sim/policy/replica_choice/levelled_shares.h"

namespace moesim {
namespace {

ReplicaShares split_weighted(const ReplicaInput& in, const NoOptions&, Rng&) {
  std::vector<double> load(in.past_load.begin(), in.past_load.end());
  load.resize(in.hosts.size(), 0);
  return {{levelled_shares(in, load)}};
}

[[maybe_unused]] const bool registered = Registry<ReplicaPolicy>::instance().add(
    "weighted", "fixed parts, by which the past loads of GPUs would have been level", split_weighted);

}  // namespace
}  // namespace moesim
