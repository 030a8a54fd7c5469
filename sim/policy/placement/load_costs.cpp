#include <algorithm>
#include <map>
#include <numeric>

#include "sim/core/check.h"
#include "sim/policy/placement/load_program.h"

namespace moesim {
namespace {

using Link = std::vector<double>;  // [gpu] a token

// Of tokens that come from all GPUs evenly. path_of(far, gpu) is the way between a far GPU and this one.
template <class PathOf>
std::vector<Link> links_of(const PlacementInput& in, double bytes, PathOf path_of) {
  const size_t gpus = size_t(in.gpus);
  std::vector<Link> links(in.costs.link_s.size(), Link(gpus, 0));
  for (size_t gpu = 0; gpu < gpus; ++gpu)
    for (size_t far = 0; far < gpus; ++far)
      for (const int32_t link : path_of(far, gpu)) links[size_t(link)][gpu] += 1;
  std::map<Link, double> slowest;  // of the links that the same pairs cross
  for (size_t link = 0; link < links.size(); ++link) {
    double& seconds = slowest[links[link]];
    seconds = std::max(seconds, in.costs.link_s[link]);
  }
  std::vector<Link> rows;
  for (const auto& [pairs, seconds] : slowest) {
    Link row;
    for (const double count : pairs) row.push_back(count * (bytes * seconds / double(gpus)));
    if (*std::max_element(row.begin(), row.end()) > 0) rows.push_back(std::move(row));
  }
  return rows;
}

double largest_product(const std::vector<double>& costs, const std::vector<double>& load) {
  double most = 0;
  for (size_t gpu = 0; gpu < load.size(); ++gpu) most = std::max(most, costs[gpu] * load[gpu]);
  return most;
}

double sum_of_products(const std::vector<double>& costs, const std::vector<double>& load) {
  return std::inner_product(costs.begin(), costs.end(), load.begin(), 0.0);
}

}  // namespace

LoadCosts product_costs(const PlacementInput& in, size_t layer) {
  if (!in.costs.token_s.empty()) return {in.costs.token_s, {}};
  const std::vector<int64_t>& load = in.past_load[layer];
  const int64_t total = std::accumulate(load.begin(), load.end(), int64_t{0});
  return {std::vector<double>(size_t(in.gpus), total > 0 ? double(in.gpus) / double(total) : 1.0), {}};
}

LoadCosts product_and_link_costs(const PlacementInput& in) {
  const size_t gpus = size_t(in.gpus);
  const PlacementCosts& c = in.costs;
  LoadCosts costs{c.token_s, {}};
  costs.link_groups.push_back(
      links_of(in, c.dispatch_bytes, [&](size_t far, size_t gpu) -> const auto& { return c.path[far * gpus + gpu]; }));
  costs.link_groups.push_back(
      links_of(in, c.combine_bytes, [&](size_t far, size_t gpu) -> const auto& { return c.path[gpu * gpus + far]; }));
  return costs;
}

double cost_of_loads(const LoadCosts& costs, const std::vector<double>& load) {
  double cost = largest_product(costs.gpu, load);
  for (const std::vector<Link>& links : costs.link_groups) {
    double most = 0;
    for (const Link& link : links) most = std::max(most, sum_of_products(link, load));
    cost += most;
  }
  return cost;
}

std::vector<double> loads_of_hosts(const std::vector<int64_t>& load, const LayerHosts& hosts, size_t gpus) {
  std::vector<double> loads(gpus, 0);
  for (size_t expert = 0; expert < hosts.size(); ++expert)
    for (const GpuId gpu : hosts[expert]) loads[index(gpu)] += double(load[expert]) / double(hosts[expert].size());
  return loads;
}

double cost_of_hosts(const LoadCosts& costs, const std::vector<int64_t>& load, const LayerHosts& hosts) {
  return cost_of_loads(costs, loads_of_hosts(load, hosts, costs.gpu.size()));
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

double bound_of_products(const PlacementInput& in, const LoadCosts& costs, const std::vector<int64_t>& load) {
  double speed = 0;  // tokens a unit of cost, of all GPUs that can host anything
  double fastest = kNoEnd;
  for (size_t gpu = 0; gpu < costs.gpu.size(); ++gpu) {
    if (slots_of(in, gpu) == 0) continue;
    if (costs.gpu[gpu] <= 0) return 0;
    speed += 1 / costs.gpu[gpu];
    fastest = std::min(fastest, costs.gpu[gpu]);
  }
  const std::vector<int32_t> copies = copies_by_load(in, load);
  double share = 0;
  for (size_t expert = 0; expert < load.size(); ++expert)
    share = std::max(share, double(load[expert]) / copies[expert]);
  const double total = double(std::accumulate(load.begin(), load.end(), int64_t{0}));
  return std::max(total / speed, share * fastest);
}

}  // namespace moesim
