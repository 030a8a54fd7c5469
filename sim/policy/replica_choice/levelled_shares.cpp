#include "sim/policy/replica_choice/levelled_shares.h"

#include <algorithm>
#include <numeric>

namespace moesim {
namespace {

// Expert after expert the loads come closer to their levels; after this many rounds over all what is left is small.
constexpr int32_t kRounds = 16;

// Tokens that each of these GPUs gets so that the lowest rise to one level, as water does. The GPUs are distinct.
std::vector<double> fill(const std::vector<double>& load, const std::vector<size_t>& gpus, double tokens) {
  std::vector<double> heights;
  for (const size_t gpu : gpus) heights.push_back(load[gpu]);
  std::sort(heights.begin(), heights.end());
  double level = 0;
  double below = 0;  // sum of the heights that are under water
  for (size_t under = 1; under <= heights.size(); ++under) {
    below += heights[under - 1];
    level = (below + tokens) / double(under);
    if (under == heights.size() || level <= heights[under]) break;
  }
  std::vector<double> parts;
  for (const size_t gpu : gpus) parts.push_back(std::max(0.0, level - load[gpu]));
  const double sum = std::accumulate(parts.begin(), parts.end(), 0.0);  // tokens, but for rounding
  for (double& part : parts) part *= tokens / sum;
  return parts;
}

struct Spread {
  std::vector<size_t> gpus;   // distinct
  std::vector<double> parts;  // [of gpus] tokens
};

}  // namespace

std::vector<double> levelled_shares(const ReplicaInput& in, const std::vector<double>& load) {
  std::vector<Spread> spreads(in.hosts.size());
  std::vector<double> busy(in.node.size(), 0);
  std::vector<size_t> split;  // experts with several GPUs, by falling load
  for (size_t expert = 0; expert < in.hosts.size(); ++expert) {
    Spread& spread = spreads[expert];
    for (const GpuId gpu : in.hosts[expert]) spread.gpus.push_back(index(gpu));
    std::sort(spread.gpus.begin(), spread.gpus.end());
    spread.gpus.erase(std::unique(spread.gpus.begin(), spread.gpus.end()), spread.gpus.end());
    spread.parts.assign(spread.gpus.size(), 0);
    if (spread.gpus.size() == 1)
      busy[spread.gpus[0]] += spread.parts[0] = load[expert];
    else if (load[expert] > 0)
      split.push_back(expert);
  }
  std::stable_sort(split.begin(), split.end(), [&](size_t a, size_t b) { return load[a] > load[b]; });
  for (int32_t round = 0; round < kRounds; ++round)
    for (const size_t expert : split) {
      Spread& spread = spreads[expert];
      for (size_t i = 0; i < spread.gpus.size(); ++i) busy[spread.gpus[i]] -= spread.parts[i];
      spread.parts = fill(busy, spread.gpus, load[expert]);
      for (size_t i = 0; i < spread.gpus.size(); ++i) busy[spread.gpus[i]] += spread.parts[i];
    }

  std::vector<double> shares;
  for (size_t expert = 0; expert < in.hosts.size(); ++expert) {
    const std::vector<GpuId>& hosts = in.hosts[expert];
    const Spread& spread = spreads[expert];
    for (const GpuId gpu : hosts) {
      const size_t place = size_t(std::find(spread.gpus.begin(), spread.gpus.end(), index(gpu)) - spread.gpus.begin());
      const double here = double(std::count(hosts.begin(), hosts.end(), gpu));
      shares.push_back(load[expert] > 0 ? spread.parts[place] / load[expert] / here : 1 / double(hosts.size()));
    }
  }
  return shares;
}

}  // namespace moesim
