// Affinity between layers: experts that tokens use one after the other go to one GPU, or at least to one server, so
// that tokens move less from layer to layer. The GPUs are cut in halves again and again, and each cut is made for all
// layers: a layer's experts are assigned exactly, given the layers before and behind it, layer after layer until
// nothing improves. The same sweeps over all GPUs follow, and again from contiguous blocks; the better answer is taken.
// A partitioner for general graphs would have to be told that each layer fills its GPUs on its own, which is one
// constraint a layer; here it holds by construction.

#include <algorithm>
#include <functional>
#include <numeric>

#include "sim/core/random.h"
#include "sim/moe/placement.h"
#include "sim/policy/placement/assignment.h"
#include "sim/policy/placement/pair_cost.h"

namespace moesim {
namespace {

struct AffinityOptions {
  int32_t sweeps = 8;
  int32_t starts = 4;
};

template <class Visitor>
void fields(Visitor& v, AffinityOptions& s) {
  v.optional("sweeps", s.sweeps, between(1, 10'000), "over the layers at the most, forth and back, for each start");
  v.optional("starts", s.starts, between(1, 10'000), "of each cut: in order, and others at random");
}

// Experts of some GPUs, and parts of these GPUs that they are divided among.
struct Division {
  const PlacementInput* in = nullptr;
  std::vector<std::vector<size_t>> experts;  // [layer] that are to be divided
  std::vector<int32_t> room;                 // [part]
  std::vector<double> distances;             // [part * parts + other]
  std::vector<std::vector<size_t>> part_of;  // [layer][place among its experts]
};

// Adds what each expert of a layer costs in each part, by the experts of a neighbouring layer.
void add_costs(const Division& d, size_t layer, size_t neighbour, std::vector<double>& cost) {
  const size_t parts = d.room.size();
  const size_t experts = size_t(d.in->experts);
  const bool is_before = neighbour < layer;
  const std::vector<int64_t>& tokens = d.in->transitions[is_before ? neighbour : layer];
  std::vector<double> with(parts);  // tokens that the expert has in common with those of each part
  for (size_t i = 0; i < d.experts[layer].size(); ++i) {
    with.assign(parts, 0);
    const size_t expert = d.experts[layer][i];
    for (size_t j = 0; j < d.experts[neighbour].size(); ++j) {
      const size_t other = d.experts[neighbour][j];
      with[d.part_of[neighbour][j]] +=
          double(is_before ? tokens[other * experts + expert] : tokens[expert * experts + other]);
    }
    for (size_t part = 0; part < parts; ++part)
      for (size_t other = 0; other < parts; ++other)
        cost[i * parts + part] += with[other] * d.distances[part * parts + other];
  }
}

double cost_of_layer(const std::vector<double>& cost, const std::vector<size_t>& part_of, size_t parts) {
  double sum = 0;
  for (size_t i = 0; i < part_of.size(); ++i) sum += cost[i * parts + part_of[i]];
  return sum;
}

// Assigns one layer anew, given its neighbours, and says by how much that is cheaper.
double improve_layer(Division& d, size_t layer, bool looks_ahead) {
  const size_t parts = d.room.size();
  std::vector<double> cost(d.experts[layer].size() * parts, 0);
  if (layer > 0) add_costs(d, layer, layer - 1, cost);
  if (looks_ahead && layer + 1 < d.experts.size()) add_costs(d, layer, layer + 1, cost);
  std::vector<size_t> part_of = cheapest_assignment(cost, d.room);
  const double gain = cost_of_layer(cost, d.part_of[layer], parts) - cost_of_layer(cost, part_of, parts);
  if (looks_ahead && gain <= 0) return 0;
  d.part_of[layer] = std::move(part_of);
  return gain;
}

double total_cost(const Division& d) {
  double sum = 0;
  for (size_t layer = 1; layer < d.experts.size(); ++layer) {
    std::vector<double> cost(d.experts[layer].size() * d.room.size(), 0);
    add_costs(d, layer, layer - 1, cost);
    sum += cost_of_layer(cost, d.part_of[layer], d.room.size());
  }
  return sum;
}

// Forth and back over the layers until a sweep gains nothing.
void sweep(Division& d, int32_t sweeps) {
  const size_t layers = d.experts.size();
  for (int32_t turn = 0; turn < sweeps; ++turn) {
    double gain = 0;
    for (size_t i = 0; i < layers; ++i) gain += improve_layer(d, turn % 2 == 0 ? layers - 1 - i : i, true);
    if (gain <= 0) return;
  }
}

// The experts of a layer in this order, filled into the parts by their room.
std::vector<size_t> fill_parts(const std::vector<size_t>& order, const std::vector<int32_t>& room) {
  const int64_t slots = std::accumulate(room.begin(), room.end(), int64_t{0});
  std::vector<size_t> part_of_slot;
  for (size_t part = 0; part < room.size(); ++part) part_of_slot.insert(part_of_slot.end(), size_t(room[part]), part);
  std::vector<size_t> parts(order.size());
  for (size_t i = 0; i < order.size(); ++i) parts[order[i]] = part_of_slot[i * size_t(slots) / order.size()];
  return parts;
}

// Divides by the best of several starts: the first layer in order or at random, the others after it.
void divide(Division& d, const AffinityOptions& options, Rng& rng) {
  Division best;
  double least = 0;
  for (int32_t start = 0; start < options.starts; ++start) {
    d.part_of.assign(d.experts.size(), {});
    std::vector<size_t> order(d.experts[0].size());
    std::iota(order.begin(), order.end(), size_t{0});
    if (start > 0) rng.shuffle(std::span(order));
    d.part_of[0] = fill_parts(order, d.room);
    for (size_t layer = 1; layer < d.experts.size(); ++layer) {
      d.part_of[layer].assign(d.experts[layer].size(), 0);
      improve_layer(d, layer, false);
    }
    sweep(d, options.sweeps);
    const double cost = total_cost(d);
    if (!best.part_of.empty() && cost >= least) continue;
    best = d;
    least = cost;
  }
  d = std::move(best);
}

// GPUs [begin, end) and the experts that they are to hold.
struct Range {
  size_t begin = 0;
  size_t end = 0;
  std::vector<std::vector<size_t>> experts;  // [layer]
};

// Where to cut a range: between servers as long as it has several.
size_t middle(const PlacementInput& in, size_t begin, size_t end) {
  const size_t per_node = size_t(in.gpus_per_node > 0 ? in.gpus_per_node : in.gpus);
  const size_t nodes = (end - begin) / per_node;
  return nodes > 1 ? begin + nodes / 2 * per_node : begin + (end - begin) / 2;
}

// gpu_of[layer][expert] by cutting ranges of GPUs in halves.
std::vector<std::vector<size_t>> bisect(const PlacementInput& in, const AffinityOptions& options, Rng& rng) {
  const std::vector<int32_t> room = even_room(in);
  std::vector<std::vector<size_t>> gpu_of(size_t(in.layers), std::vector<size_t>(size_t(in.experts), 0));
  std::vector<size_t> all(size_t(in.experts));
  std::iota(all.begin(), all.end(), size_t{0});
  std::vector<Range> open{{0, size_t(in.gpus), std::vector<std::vector<size_t>>(size_t(in.layers), all)}};
  while (!open.empty()) {
    const Range range = std::move(open.back());
    open.pop_back();
    if (range.end - range.begin == 1) {
      for (size_t layer = 0; layer < range.experts.size(); ++layer)
        for (const size_t expert : range.experts[layer]) gpu_of[layer][expert] = range.begin;
      continue;
    }
    const size_t cut = middle(in, range.begin, range.end);
    Range halves[2] = {{range.begin, cut, {}}, {cut, range.end, {}}};
    Division d{&in, range.experts, {}, {0, 1, 1, 0}, {}};
    for (const Range& half : halves)
      d.room.push_back(std::accumulate(room.begin() + int64_t(half.begin), room.begin() + int64_t(half.end), 0));
    divide(d, options, rng);
    for (Range& half : halves) half.experts.resize(range.experts.size());
    for (size_t layer = 0; layer < range.experts.size(); ++layer)
      for (size_t i = 0; i < range.experts[layer].size(); ++i)
        halves[d.part_of[layer][i]].experts[layer].push_back(range.experts[layer][i]);
    open.push_back(std::move(halves[1]));
    open.push_back(std::move(halves[0]));
  }
  return gpu_of;
}

// Sweeps over all GPUs at once, from a placement.
Division refined(const PlacementInput& in, std::vector<std::vector<size_t>> gpu_of, int32_t sweeps) {
  std::vector<size_t> all(size_t(in.experts));
  std::iota(all.begin(), all.end(), size_t{0});
  Division d{&in, std::vector<std::vector<size_t>>(size_t(in.layers), all), even_room(in), gpu_distances(in),
             std::move(gpu_of)};
  sweep(d, sweeps);
  return d;
}

Placement place_affinity(const PlacementInput& in, const AffinityOptions& options, Rng& rng) {
  if (in.transitions.empty()) return contiguous_placement(in);
  std::vector<size_t> block;
  for (const GpuId gpu : contiguous_gpus(in)) block.push_back(index(gpu));
  const Division in_order = refined(in, std::vector<std::vector<size_t>>(size_t(in.layers), block), options.sweeps);
  const Division halved = refined(in, bisect(in, options, rng), options.sweeps);
  const Division& best = total_cost(halved) < total_cost(in_order) ? halved : in_order;
  return place_each(in, [&](int32_t layer, int32_t expert) { return best.part_of[size_t(layer)][size_t(expert)]; });
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "affinity", "experts that tokens use one after the other on one GPU, or one server", place_affinity);

}  // namespace
}  // namespace moesim
