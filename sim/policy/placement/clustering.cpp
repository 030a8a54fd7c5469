// Clustering on co-activation: experts that tokens choose together in a layer go to one GPU, or at least to one server,
// so that one copy of a token serves several. Layer by layer, the GPUs are cut in halves again and again by the rule of
// Kernighan and Lin; swaps and moves between all GPUs follow, and again from contiguous blocks; the better answer is
// taken. Partitioners such as Scotch and METIS balance within a tolerance and are made for sparse graphs; here slots
// bind exactly, and every pair of experts has an edge.

#include <algorithm>
#include <limits>
#include <numeric>

#include "sim/core/random.h"
#include "sim/moe/placement.h"
#include "sim/policy/placement/pair_cost.h"

namespace moesim {
namespace {

struct ClusteringOptions {
  int32_t passes = 16;
};

template <class Visitor>
void fields(Visitor& v, ClusteringOptions& s) {
  v.optional("passes", s.passes, between(1, 10'000), "of improvement at the most, of each cut and of the whole");
}

// Experts of a layer in parts. An exchange of two goes with what each costs in each part.
struct Parts {
  size_t parts = 0;
  std::vector<double> weight;     // [i * experts + j] tokens that chose both
  std::vector<double> distances;  // [part * parts + other]
  std::vector<int32_t> room;      // [part] experts that still fit
  std::vector<size_t> part_of;    // [i]
  std::vector<double> cost;       // [i * parts + part] of i in the part, by where the others are

  size_t experts() const { return part_of.size(); }
};

Parts make_parts(std::vector<double> weight, std::vector<double> distances, std::vector<int32_t> room,
                 std::vector<size_t> part_of) {
  Parts p{room.size(), std::move(weight), std::move(distances), std::move(room), std::move(part_of), {}};
  for (const size_t part : p.part_of) --p.room[part];
  p.cost.assign(p.experts() * p.parts, 0);
  for (size_t i = 0; i < p.experts(); ++i)
    for (size_t j = 0; j < p.experts(); ++j)
      for (size_t part = 0; part < p.parts; ++part)
        p.cost[i * p.parts + part] += p.weight[i * p.experts() + j] * p.distances[part * p.parts + p.part_of[j]];
  return p;
}

double total_cost(const Parts& p) {
  double sum = 0;
  for (size_t i = 0; i < p.experts(); ++i) sum += p.cost[i * p.parts + p.part_of[i]];
  return sum / 2;
}

// What the cost falls by when i moves, or i and j change places.
double gain_of_move(const Parts& p, size_t i, size_t to) {
  return p.cost[i * p.parts + p.part_of[i]] - p.cost[i * p.parts + to];
}
double gain_of_swap(const Parts& p, size_t i, size_t j) {
  const size_t a = p.part_of[i];
  const size_t b = p.part_of[j];
  return gain_of_move(p, i, b) + gain_of_move(p, j, a) -
         2 * p.weight[i * p.experts() + j] * p.distances[a * p.parts + b];
}

void move(Parts& p, size_t i, size_t to) {
  const size_t from = p.part_of[i];
  for (size_t j = 0; j < p.experts(); ++j) {
    const double weight = p.weight[j * p.experts() + i];
    if (weight == 0) continue;
    for (size_t part = 0; part < p.parts; ++part)
      p.cost[j * p.parts + part] += weight * (p.distances[part * p.parts + to] - p.distances[part * p.parts + from]);
  }
  p.part_of[i] = to;
  ++p.room[from];
  --p.room[to];
}

void swap_parts(Parts& p, size_t i, size_t j) {
  const size_t a = p.part_of[i];
  move(p, i, p.part_of[j]);
  move(p, j, a);
}

// Gains below this are rounding errors of weights, which are whole numbers.
constexpr double kLeastGain = 1e-6;

// One pass of Kernighan and Lin between two parts: the best swap again and again, each expert once, even where it
// loses; then back to the best state on the way.
bool kernighan_lin_pass(Parts& p) {
  std::vector<bool> is_locked(p.experts(), false);
  std::vector<std::pair<size_t, size_t>> swaps;
  double gain = 0;
  double most = kLeastGain;
  size_t kept = 0;
  while (true) {
    double best = -std::numeric_limits<double>::infinity();
    std::pair<size_t, size_t> pair{0, 0};
    for (size_t i = 0; i < p.experts(); ++i) {
      if (is_locked[i] || p.part_of[i] != 0) continue;
      for (size_t j = 0; j < p.experts(); ++j) {
        if (is_locked[j] || p.part_of[j] != 1 || gain_of_swap(p, i, j) <= best) continue;
        best = gain_of_swap(p, i, j);
        pair = {i, j};
      }
    }
    if (pair.first == pair.second) break;
    swap_parts(p, pair.first, pair.second);
    is_locked[pair.first] = is_locked[pair.second] = true;
    swaps.push_back(pair);
    gain += best;
    if (gain <= most) continue;
    most = gain;
    kept = swaps.size();
  }
  for (size_t i = swaps.size(); i > kept; --i) swap_parts(p, swaps[i - 1].first, swaps[i - 1].second);
  return kept > 0;
}

// Swaps and moves between all parts as long as one gains.
bool descend(Parts& p) {
  bool has_gained = false;
  for (size_t i = 0; i < p.experts(); ++i) {
    double best = kLeastGain;
    size_t partner = p.experts();
    for (size_t j = 0; j < p.experts(); ++j) {
      if (p.part_of[j] == p.part_of[i] || gain_of_swap(p, i, j) <= best) continue;
      best = gain_of_swap(p, i, j);
      partner = j;
    }
    size_t to = p.parts;
    for (size_t part = 0; part < p.parts; ++part) {
      if (part == p.part_of[i] || p.room[part] <= 0 || gain_of_move(p, i, part) <= best) continue;
      best = gain_of_move(p, i, part);
      to = part;
    }
    if (to < p.parts)
      move(p, i, to);
    else if (partner < p.experts())
      swap_parts(p, i, partner);
    else
      continue;
    has_gained = true;
  }
  return has_gained;
}

// Those of `experts` that belong to GPUs [begin, cut) and [cut, end), by a cut of few tokens.
void cut_range(const std::vector<double>& weight, size_t all, const std::vector<int32_t>& room, size_t begin,
               size_t end, size_t per_node, const std::vector<size_t>& experts, int32_t passes,
               std::vector<size_t>& gpu_of) {
  if (end - begin == 1 || experts.empty()) {
    for (const size_t expert : experts) gpu_of[expert] = begin;
    return;
  }
  const size_t nodes = (end - begin) / per_node;
  const size_t cut = nodes > 1 ? begin + nodes / 2 * per_node : begin + (end - begin) / 2;
  const int32_t left = std::accumulate(room.begin() + int64_t(begin), room.begin() + int64_t(cut), 0);
  const int32_t right = std::accumulate(room.begin() + int64_t(cut), room.begin() + int64_t(end), 0);
  std::vector<double> own(experts.size() * experts.size());
  std::vector<size_t> part_of;
  for (size_t i = 0; i < experts.size(); ++i) {
    for (size_t j = 0; j < experts.size(); ++j) own[i * experts.size() + j] = weight[experts[i] * all + experts[j]];
    part_of.push_back(i * size_t(left + right) / experts.size() < size_t(left) ? 0 : 1);
  }
  Parts p = make_parts(std::move(own), {0, 1, 1, 0}, {left, right}, std::move(part_of));
  for (int32_t pass = 0; pass < passes && kernighan_lin_pass(p); ++pass) {
  }
  std::vector<size_t> halves[2];
  for (size_t i = 0; i < experts.size(); ++i) halves[p.part_of[i]].push_back(experts[i]);
  cut_range(weight, all, room, begin, cut, per_node, halves[0], passes, gpu_of);
  cut_range(weight, all, room, cut, end, per_node, halves[1], passes, gpu_of);
}

std::vector<size_t> cluster_layer(const PlacementInput& in, const std::vector<int64_t>& together, int32_t passes) {
  const std::vector<double> weight(together.begin(), together.end());
  const std::vector<double> distances = gpu_distances(in);
  const std::vector<int32_t> room = even_room(in);
  const size_t experts = size_t(in.experts);
  std::vector<size_t> block;
  for (const GpuId gpu : contiguous_gpus(in)) block.push_back(index(gpu));
  std::vector<size_t> all(experts);
  std::iota(all.begin(), all.end(), size_t{0});
  std::vector<size_t> halved(experts);
  const size_t per_node = size_t(in.gpus_per_node > 0 ? in.gpus_per_node : in.gpus);
  cut_range(weight, experts, room, 0, size_t(in.gpus), per_node, all, passes, halved);

  Parts in_order = make_parts(weight, distances, room, std::move(block));
  Parts by_halves = make_parts(weight, distances, room, std::move(halved));
  for (Parts* p : {&in_order, &by_halves})
    for (int32_t pass = 0; pass < passes && descend(*p); ++pass) {
    }
  return total_cost(by_halves) < total_cost(in_order) ? by_halves.part_of : in_order.part_of;
}

Placement place_clustering(const PlacementInput& in, const ClusteringOptions& options, Rng&) {
  if (in.together.empty()) return contiguous_placement(in);
  std::vector<std::vector<size_t>> gpu_of;
  for (const std::vector<int64_t>& together : in.together)
    gpu_of.push_back(cluster_layer(in, together, options.passes));
  return place_each(in, [&](int32_t layer, int32_t expert) { return gpu_of[size_t(layer)][size_t(expert)]; });
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "clustering", "experts that tokens choose together on one GPU, or one server", place_clustering);

}  // namespace
}  // namespace moesim
