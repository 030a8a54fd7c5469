#include "sim/policy/placement/pair_cost.h"

#include <algorithm>

namespace moesim {
namespace {

using Hosts = std::vector<std::vector<GpuId>>;

double mean_distance(const std::vector<double>& distances, size_t gpus, const std::vector<GpuId>& from,
                     const std::vector<GpuId>& to) {
  double sum = 0;
  for (const GpuId a : from)
    for (const GpuId b : to) sum += distances[index(a) * gpus + index(b)];
  return sum / double(from.size() * to.size());
}

double cost_of_pairs(const PlacementInput& in, const std::vector<int64_t>& tokens, const Hosts& from, const Hosts& to) {
  const std::vector<double> distances = gpu_distances(in);
  double cost = 0;
  for (size_t a = 0; a < from.size(); ++a)
    for (size_t b = 0; b < to.size(); ++b) {
      const int64_t count = tokens[a * to.size() + b];
      if (count > 0) cost += double(count) * mean_distance(distances, size_t(in.gpus), from[a], to[b]);
    }
  return cost;
}

}  // namespace

std::vector<double> gpu_distances(const PlacementInput& in) {
  std::vector<double> distances;
  const int32_t per_node = in.gpus_per_node > 0 ? in.gpus_per_node : in.gpus;
  for (int32_t a = 0; a < in.gpus; ++a)
    for (int32_t b = 0; b < in.gpus; ++b) {
      if (!in.costs.distance.empty())
        distances.push_back(in.costs.distance[size_t(a)][size_t(b)]);
      else
        distances.push_back(a == b ? 0 : a / per_node == b / per_node ? 1 : 2);
    }
  return distances;
}

std::vector<int32_t> even_room(const PlacementInput& in) {
  const int64_t slots = slots_total(in);
  std::vector<int32_t> room(size_t(in.gpus), 0);
  for (const GpuId gpu : contiguous_gpus(in)) ++room[index(gpu)];  // what contiguous blocks hold fits in any case
  for (size_t gpu = 0; gpu < room.size(); ++gpu) {
    const int64_t own = slots_of(in, gpu);
    room[gpu] = std::max(room[gpu], int32_t(std::min(own, (own * in.experts + slots - 1) / slots)));
  }
  return room;
}

double transition_cost(const PlacementInput& in, const Placement& placement) {
  double cost = 0;
  for (size_t layer = 0; layer < in.transitions.size(); ++layer)
    cost += cost_of_pairs(in, in.transitions[layer], placement.hosts[layer], placement.hosts[layer + 1]);
  return cost;
}

double together_cost(const PlacementInput& in, const Placement& placement) {
  double cost = 0;
  for (size_t layer = 0; layer < in.together.size(); ++layer)
    cost += cost_of_pairs(in, in.together[layer], placement.hosts[layer], placement.hosts[layer]) / 2;
  return cost;
}

}  // namespace moesim
