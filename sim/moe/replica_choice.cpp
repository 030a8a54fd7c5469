#include "sim/moe/replica_choice.h"

#include <cmath>

#include "sim/core/check.h"

namespace moesim {

std::vector<size_t> first_copies(std::span<const std::vector<GpuId>> hosts) {
  std::vector<size_t> first{0};
  for (const std::vector<GpuId>& expert : hosts) first.push_back(first.back() + expert.size());
  return first;
}

void check_shares(const ReplicaShares& shares, const ReplicaInput& in) {
  const std::vector<size_t> first = first_copies(in.hosts);
  CHECK(shares.share.size() == 1 || shares.share.size() == in.node.size());
  for (const std::vector<double>& row : shares.share) {
    CHECK(row.size() == first.back());
    for (size_t expert = 0; expert < in.hosts.size(); ++expert) {
      double sum = 0;
      for (size_t copy = first[expert]; copy < first[expert + 1]; ++copy) {
        CHECK(row[copy] >= 0);
        sum += row[copy];
      }
      CHECK(std::abs(sum - 1) < 1e-6);
    }
  }
}

}  // namespace moesim
