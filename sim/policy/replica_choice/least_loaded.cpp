// Least loaded copy: the tokens that have just been routed, of all GPUs of the group, are dealt so that the GPUs end
// with loads as equal as the copies allow. Somebody has to know all counts, which takes an exchange before each
// dispatch.

#include "sim/policy/replica_choice/levelled_shares.h"

namespace moesim {
namespace {

ReplicaShares split_least_loaded(const ReplicaInput& in, const NoOptions&, Rng&) {
  std::vector<double> load(in.hosts.size(), 0);
  for (const std::vector<int64_t>& row : in.routed)
    for (size_t expert = 0; expert < row.size(); ++expert) load[expert] += double(row[expert]);
  return {{levelled_shares(in, load)}};
}

[[maybe_unused]] const bool registered = Registry<ReplicaPolicy>::instance().add(
    "least_loaded", "so that the tokens routed now level the loads of GPUs", split_least_loaded);

}  // namespace
}  // namespace moesim
