// Placement problems for tests and benchmarks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/core/random.h"
#include "sim/moe/placement.h"
#include "tests/topologies/built.h"
#include "topologies/routes.h"

namespace moesim {

// Costs of a cluster of servers of eight H100s: 20 ns a routed token, 7 KiB there, 14 KiB back.
inline PlacementCosts cluster_costs(const std::string& fabric, int32_t nodes, const std::string& options = "{}") {
  const Topology topology = built(fabric, {nodes, {}}, options);
  Routes routes(topology, 1);
  PlacementCosts costs;
  costs.token_s.assign(topology.gpus.size(), 20e-9);
  costs.dispatch_bytes = 7168;
  costs.combine_bytes = 14336;
  for (const Link& link : topology.links) costs.link_s.push_back(1 / link.capacity.bytes_per_s);
  for (const VertexId from : topology.gpus)
    for (const VertexId to : topology.gpus) {
      std::vector<int32_t>& path = costs.path.emplace_back();
      if (from == to) continue;
      for (const LinkId link : routes.path(from, to, 0)) path.push_back(int32_t(link));
    }
  return costs;
}

// Experts of log-normal popularity (sigma 0.8) in each of eight domains, in a mixture of which tokens come.
struct DomainLoads {
  std::vector<std::vector<std::vector<double>>> popularity;  // [domain][layer][expert], of sum 1

  DomainLoads(int32_t layers, int32_t experts, Rng& rng) {
    for (int32_t domain = 0; domain < 8; ++domain) {
      popularity.emplace_back();
      for (int32_t layer = 0; layer < layers; ++layer) {
        std::vector<double> row;
        double sum = 0;
        for (int32_t expert = 0; expert < experts; ++expert) sum += row.emplace_back(rng.log_normal(0, 0.8));
        for (double& value : row) value /= sum;
        popularity.back().push_back(std::move(row));
      }
    }
  }

  // The past as a mixture of them, and what each has had in it.
  void set_past(const std::vector<double>& share_of_domain, double tokens, PlacementInput& in) const {
    in.past_load = loads(share_of_domain, tokens);
    in.past_load_of_part.clear();
    for (size_t domain = 0; domain < popularity.size(); ++domain) {
      std::vector<double> alone(popularity.size(), 0);
      alone[domain] = share_of_domain[domain];
      in.past_load_of_part.push_back(loads(alone, tokens));
    }
  }

  std::vector<std::vector<int64_t>> loads(const std::vector<double>& share_of_domain, double tokens) const {
    std::vector<std::vector<int64_t>> loads;
    for (size_t layer = 0; layer < popularity[0].size(); ++layer) {
      std::vector<int64_t>& row = loads.emplace_back();
      for (size_t expert = 0; expert < popularity[0][layer].size(); ++expert) {
        double part = 0;
        for (size_t domain = 0; domain < popularity.size(); ++domain)
          part += share_of_domain[domain] * popularity[domain][layer][expert];
        row.push_back(int64_t(tokens * part));
      }
    }
    return loads;
  }
};

// Shares of the domains, of sum 1: exponential draws, so that some are rare.
inline std::vector<double> random_mixture(Rng& rng) {
  std::vector<double> shares;
  double sum = 0;
  for (int32_t domain = 0; domain < 8; ++domain) sum += shares.emplace_back(rng.exponential());
  for (double& share : shares) share /= sum;
  return shares;
}

// 256 experts in 58 layers on 64 GPUs of 8 servers, five slots a GPU: a spare one each. Without costs.
inline PlacementInput large_case(uint64_t seed) {
  Rng rng(seed);
  const DomainLoads domains(58, 256, rng);
  PlacementInput in;
  in.layers = 58;
  in.experts = 256;
  in.gpus = 64;
  in.gpus_per_node = 8;
  in.slots_per_gpu = 5;
  domains.set_past(random_mixture(rng), 1e7, in);
  return in;
}

// Small problems of all shapes: servers of several sizes, spare slots, GPUs with slots of their own, and tables of
// pairs where `with_pairs`. Costs have a random link for each GPU in each direction.
inline PlacementInput random_placement_input(Rng& rng, bool with_pairs, bool with_costs) {
  PlacementInput in;
  in.layers = int32_t(rng.between(1, 4));
  in.gpus_per_node = int32_t(rng.between(1, 4));
  in.gpus = in.gpus_per_node * int32_t(rng.between(1, 4));
  in.experts = int32_t(rng.between(1, 40));
  in.slots_per_gpu = (in.experts + in.gpus - 1) / in.gpus + int32_t(rng.between(0, 2));
  if (rng.below(3) == 0)
    for (int32_t gpu = 0; gpu < in.gpus; ++gpu) in.slots.push_back(in.slots_per_gpu + int32_t(rng.between(0, 2)));
  if (rng.below(2) == 0 && in.experts % 2 == 0) in.groups = 2;
  for (int32_t layer = 0; layer < in.layers; ++layer) {
    std::vector<int64_t>& loads = in.past_load.emplace_back();
    for (int32_t expert = 0; expert < in.experts; ++expert) loads.push_back(int64_t(rng.below(1000)));
  }
  const size_t experts = size_t(in.experts);
  for (int32_t layer = 0; layer < in.layers && with_pairs; ++layer) {
    std::vector<int64_t>& pairs = in.together.emplace_back(experts * experts, 0);
    for (size_t a = 0; a < experts; ++a)
      for (size_t b = 0; b < a; ++b) pairs[a * experts + b] = pairs[b * experts + a] = int64_t(rng.below(100));
    if (layer + 1 == in.layers) continue;
    std::vector<int64_t>& next = in.transitions.emplace_back();
    for (size_t pair = 0; pair < experts * experts; ++pair) next.push_back(int64_t(rng.below(100)));
  }
  if (!with_costs) return in;
  for (int32_t gpu = 0; gpu < in.gpus; ++gpu) {
    in.costs.token_s.push_back((1 + rng.uniform()) * 1e-8);
    in.costs.link_s.push_back((1 + rng.uniform()) * 1e-11);
    in.costs.link_s.push_back((1 + rng.uniform()) * 1e-11);
  }
  in.costs.dispatch_bytes = 1000;
  in.costs.combine_bytes = 2000;
  for (int32_t from = 0; from < in.gpus; ++from)
    for (int32_t to = 0; to < in.gpus; ++to) {
      std::vector<int32_t>& path = in.costs.path.emplace_back();
      if (from != to) path = {2 * from, 2 * to + 1};
    }
  return in;
}

}  // namespace moesim
