// Affinity between layers: experts that tokens use one after the other go to one GPU, or at least to one server, so
// that tokens move less from layer to layer. The GPUs are cut in halves again and again, and each cut is made for all
// layers: a layer's experts are assigned exactly, given the layers before and behind it, layer after layer until
// nothing improves. The same sweeps over all GPUs follow, and again from contiguous blocks; the better answer is taken.

#include <numeric>

#include "sim/core/random.h"
#include "sim/moe/placement.h"
#include "sim/policy/placement/affinity_partition.h"
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

// The best of several starts: the first layer in order or at random, the others after it.
Parts divided(const PartProblem& p, const AffinityOptions& options, Rng& rng) {
  Parts best;
  double least = 0;
  for (int32_t start = 0; start < options.starts; ++start) {
    std::vector<size_t> order = in_order(p.members[0].size());
    if (start > 0) rng.shuffle(std::span(order));
    Parts parts = chained_parts(p, filled_parts(order, p.slots));
    sweep(p, parts, options.sweeps);
    const double cut = cut_of(p, parts);
    if (!best.empty() && cut >= least) continue;
    best = std::move(parts);
    least = cut;
  }
  return best;
}

// All experts on all GPUs.
PartProblem whole_problem(const PlacementInput& in) {
  std::vector<int32_t> all(size_t(in.experts));
  std::iota(all.begin(), all.end(), 0);
  PartProblem p = part_problem(in, std::vector(size_t(in.layers), all), even_room(in));
  const std::vector<double> distances = gpu_distances(in);
  for (size_t a = 0; a < p.slots.size(); ++a)
    for (size_t b = 0; b < p.slots.size(); ++b) p.distance[a][b] = distances[a * p.slots.size() + b];
  return p;
}

Placement place_affinity(const PlacementInput& in, const AffinityOptions& options, Rng& rng) {
  if (in.transitions.empty()) return contiguous_placement(in);
  const PartProblem p = whole_problem(in);
  Parts ordered;
  for (int32_t layer = 0; layer < in.layers; ++layer) {
    std::vector<int32_t>& parts = ordered.emplace_back();
    for (const GpuId gpu : contiguous_gpus(in)) parts.push_back(int32_t(gpu));
  }
  sweep(p, ordered, options.sweeps);
  const size_t per_node = size_t(in.gpus_per_node > 0 ? in.gpus_per_node : in.gpus);
  Parts halved = bisect_parts(p, per_node, [&](const PartProblem& part) {
                   return PartAnswer{divided(part, options, rng), {}};
                 }).parts;
  sweep(p, halved, options.sweeps);
  const Parts& best = cut_of(p, halved) < cut_of(p, ordered) ? halved : ordered;
  return place_each(in, [&](int32_t layer, int32_t expert) { return best[size_t(layer)][size_t(expert)]; });
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "affinity", "experts that tokens use one after the other on one GPU, or one server", place_affinity);

}  // namespace
}  // namespace moesim
