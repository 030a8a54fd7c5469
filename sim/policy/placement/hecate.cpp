// Hecate's heterogeneous sharding with sparse materialisation. Each expert's home balances the loads of servers and
// GPUs over all layers together, so that a GPU may be home to many experts of one layer and few of another. The most
// loaded experts of each layer are left out of this: spare slots get copies of them.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "sim/core/check.h"
#include "sim/moe/placement.h"

namespace moesim {
namespace {

struct HecateOptions {
  int32_t top = 8;
};

template <class Visitor>
void fields(Visitor& v, HecateOptions& s) {
  v.optional("top", s.top, between(0, 65535),
             "most loaded experts of each layer that spare slots get copies of and that homes do not balance");
}

struct Sharding {
  const PlacementInput& in;
  int32_t per_node = 1;
  int64_t home_max = 0;                    // experts of all layers that a GPU is home to
  std::vector<double> load;                // [gpu] over all layers
  std::vector<double> node_load;           // [server]
  std::vector<int64_t> node_used;          // [server] homes over all layers
  std::vector<int64_t> homes;              // [gpu]
  std::vector<std::vector<int32_t>> used;  // [layer][gpu] slots
  Placement placement;
};

Sharding sharding_of(const PlacementInput& in) {
  const int32_t per_node = in.gpus_per_node > 0 ? in.gpus_per_node : in.gpus;
  const size_t nodes = size_t((in.gpus + per_node - 1) / per_node);
  const size_t gpus = size_t(in.gpus);
  Sharding s{in,
             per_node,
             (int64_t{in.layers} * in.experts + in.gpus - 1) / in.gpus,
             std::vector<double>(gpus, 0),
             std::vector<double>(nodes, 0),
             std::vector<int64_t>(nodes, 0),
             std::vector<int64_t>(gpus, 0),
             std::vector<std::vector<int32_t>>(size_t(in.layers), std::vector<int32_t>(gpus, 0)),
             {}};
  s.placement.hosts.assign(size_t(in.layers), std::vector<std::vector<GpuId>>(size_t(in.experts)));
  return s;
}

size_t node_of(const Sharding& s, size_t gpu) { return gpu / size_t(s.per_node); }

// The least loaded server with room, fewer homes on ties, and its least loaded GPU with room. GPUs that are home to
// their share already come in only where no other has a slot left in this layer.
size_t home_for(const Sharding& s, size_t layer) {
  for (const bool keeps_share : {true, false}) {
    size_t best = s.load.size();
    for (size_t gpu = 0; gpu < s.load.size(); ++gpu) {
      if (s.used[layer][gpu] >= slots_of(s.in, gpu) || (keeps_share && s.homes[gpu] >= s.home_max)) continue;
      const auto rank = [&](size_t g) {
        return std::tuple(s.node_load[node_of(s, g)], s.node_used[node_of(s, g)], node_of(s, g), s.load[g], g);
      };
      if (best == s.load.size() || rank(gpu) < rank(best)) best = gpu;
    }
    if (best < s.load.size()) return best;
  }
  CHECK(false);
  return 0;
}

void give_home(Sharding& s, size_t layer, size_t expert, double load) {
  const size_t gpu = home_for(s, layer);
  s.placement.hosts[layer][expert].push_back(GpuId(gpu));
  s.load[gpu] += load;
  s.node_load[node_of(s, gpu)] += load;
  ++s.node_used[node_of(s, gpu)];
  ++s.homes[gpu];
  ++s.used[layer][gpu];
}

// A GPU for a copy: on the server with the most free slots, there with the most free slots, and without one so far.
size_t gpu_for_copy(const Sharding& s, size_t layer, size_t expert) {
  const size_t gpus = s.load.size();
  std::vector<int32_t> node_free(s.node_load.size(), 0);
  const auto free = [&](size_t gpu) { return slots_of(s.in, gpu) - s.used[layer][gpu]; };
  for (size_t gpu = 0; gpu < gpus; ++gpu) node_free[node_of(s, gpu)] += free(gpu);
  const std::vector<GpuId>& hosts = s.placement.hosts[layer][expert];
  size_t best = gpus;
  for (size_t gpu = 0; gpu < gpus; ++gpu) {
    if (free(gpu) <= 0 || std::find(hosts.begin(), hosts.end(), GpuId(gpu)) != hosts.end()) continue;
    const auto rank = [&](size_t g) { return std::pair(node_free[node_of(s, g)], free(g)); };
    if (best == gpus || rank(gpu) > rank(best)) best = gpu;
  }
  return best;
}

// Copies in proportion to load; where all of them fit on every GPU, they go there.
void add_copies(Sharding& s, size_t layer, const std::vector<size_t>& top) {
  const std::vector<int64_t>& load = s.in.past_load[layer];
  int64_t free = slots_total(s.in) - s.in.experts;
  double sum = 0;
  for (const size_t expert : top) sum += double(load[expert]);
  if (sum == 0) return;
  const double slots = double(free);
  const bool fit_everywhere = int64_t(top.size()) * (s.in.gpus - 1) <= free;
  for (const size_t expert : top) {
    const int64_t due = fit_everywhere ? s.in.gpus - 1 : std::llround(slots * double(load[expert]) / sum);
    for (int64_t copy = 0; copy < due && free > 0; ++copy, --free) {
      const size_t gpu = gpu_for_copy(s, layer, expert);
      if (gpu == s.load.size()) break;
      s.placement.hosts[layer][expert].push_back(GpuId(gpu));
      ++s.used[layer][gpu];
    }
  }
}

std::vector<size_t> by_falling_load(const std::vector<int64_t>& load) {
  std::vector<size_t> order(load.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return load[a] > load[b]; });
  return order;
}

Placement place_hecate(const PlacementInput& in, const HecateOptions& options, Rng&) {
  CHECK(in.experts <= slots_total(in));
  Sharding s = sharding_of(in);
  std::vector<int64_t> peak;  // [layer]
  std::vector<std::vector<size_t>> order;
  for (const std::vector<int64_t>& load : in.past_load) {
    order.push_back(by_falling_load(load));
    peak.push_back(load[order.back().front()]);
  }
  const size_t top = std::min(size_t(options.top), size_t(in.experts));
  const std::vector<size_t> layers = by_falling_load(peak);
  for (const size_t layer : layers)
    for (size_t i = top; i < order[layer].size(); ++i)
      give_home(s, layer, order[layer][i], double(in.past_load[layer][order[layer][i]]));
  for (const size_t layer : layers)
    for (size_t i = 0; i < top; ++i) give_home(s, layer, order[layer][i], double(in.past_load[layer][order[layer][i]]));
  for (size_t layer = 0; layer < order.size(); ++layer) {
    order[layer].resize(top);
    add_copies(s, layer, order[layer]);
  }
  return std::move(s.placement);
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "hecate", "homes that balance all layers together, and copies of the most loaded experts in spare slots",
    place_hecate);

}  // namespace
}  // namespace moesim
