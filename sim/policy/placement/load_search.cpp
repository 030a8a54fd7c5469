#include <algorithm>
#include <set>

#include "sim/core/check.h"
#include "sim/policy/placement/assignment_program.h"
#include "sim/policy/placement/load_program.h"

namespace moesim {
namespace {

// Costs looked at in one layer. Enough for 64 experts on 8 GPUs to come to rest several times over.
constexpr int64_t kTriesMax = 50000;

struct Search {
  const PlacementInput& in;
  const PlacementObjective& costs;
  const std::vector<int64_t>& load;
  LayerHosts hosts;
  std::vector<std::vector<size_t>> held{};  // [gpu] experts
  LayerCost cost{};
};

void refresh(Search& s) {
  s.cost = layer_cost(s.costs, gpu_loads(s.hosts, s.load, s.costs.token_s.size()));
  s.held.assign(s.cost.load.size(), {});
  for (size_t expert = 0; expert < s.hosts.size(); ++expert)
    for (const GpuId gpu : s.hosts[expert]) s.held[index(gpu)].push_back(expert);
}

// The GPUs that make the layer slow: the busiest, and for dispatch and combine the one that loads the busiest link
// most.
std::set<size_t> culprits(const Search& s) {
  const LayerPeaks peaks = layer_peaks(s.costs, s.cost);
  std::set<size_t> gpus{peaks.gpu};
  const auto add = [&](const LinkTable& table, size_t link) {
    const auto seconds = [&](size_t gpu) { return table.seconds[gpu * table.rows + link] * s.cost.load[gpu]; };
    size_t worst = 0;
    for (size_t gpu = 1; gpu < s.cost.load.size(); ++gpu)
      if (seconds(gpu) > seconds(worst)) worst = gpu;
    gpus.insert(worst);
  };
  if (s.costs.dispatch.rows > 0) add(s.costs.dispatch, peaks.dispatch);
  if (s.costs.combine.rows > 0) add(s.costs.combine, peaks.combine);
  return gpus;
}

bool is_on(const Search& s, size_t expert, size_t gpu) {
  return std::find(s.hosts[expert].begin(), s.hosts[expert].end(), GpuId(gpu)) != s.hosts[expert].end();
}

double share(const Search& s, size_t expert) { return double(s.load[expert]) / double(s.hosts[expert].size()); }

struct Swap {
  size_t from = 0;
  size_t to = 0;
  size_t expert = 0;
  int64_t other = -1;  // the expert that comes back, or none
  double cost = 0;
};

void try_swaps(const Search& s, size_t from, size_t to, Swap& best, int64_t& tries) {
  for (const size_t expert : s.held[from]) {
    if (is_on(s, expert, to)) continue;
    const auto consider = [&](int64_t other, double tokens) {
      if (tries-- <= 0 || tokens <= 0) return;
      const double cost = cost_after_shift(s.costs, s.cost, from, to, tokens);
      if (cost < best.cost * (1 - 1e-12)) best = {from, to, expert, other, cost};
    };
    if (int32_t(s.held[to].size()) < slots_of(s.in, to)) consider(-1, share(s, expert));
    for (const size_t other : s.held[to])
      if (!is_on(s, other, from)) consider(int64_t(other), share(s, expert) - share(s, other));
  }
}

void carry_out(Search& s, const Swap& swap) {
  const auto move = [&](size_t expert, size_t from, size_t to) {
    *std::find(s.hosts[expert].begin(), s.hosts[expert].end(), GpuId(from)) = GpuId(to);
    std::sort(s.hosts[expert].begin(), s.hosts[expert].end());
  };
  move(swap.expert, swap.from, swap.to);
  if (swap.other >= 0) move(size_t(swap.other), swap.to, swap.from);
  refresh(s);
}

// Swaps what makes the layer slow, always by the best swap, until none gains.
void descend(Search& s) {
  refresh(s);
  for (int64_t tries = kTriesMax; tries > 0;) {
    Swap best{.cost = s.cost.value};
    for (const size_t from : culprits(s))
      for (size_t to = 0; to < s.held.size(); ++to)
        if (to != from) try_swaps(s, from, to, best, tries);
    if (best.from == best.to) return;
    carry_out(s, best);
  }
}

// The largest shares first, each to the GPU with a free slot and without this expert where it ends earliest. Empty
// where the last copies find no GPU that lacks their expert.
LayerHosts place_shares(const PlacementInput& in, const PlacementObjective& costs, const std::vector<int64_t>& load,
                        const std::vector<int32_t>& copies) {
  std::vector<size_t> pieces;
  for (size_t expert = 0; expert < load.size(); ++expert) pieces.insert(pieces.end(), size_t(copies[expert]), expert);
  const auto share_of = [&](size_t expert) { return double(load[expert]) / copies[expert]; };
  std::stable_sort(pieces.begin(), pieces.end(), [&](size_t a, size_t b) { return share_of(a) > share_of(b); });
  LayerHosts hosts(load.size());
  std::vector<double> loads(costs.token_s.size(), 0);
  std::vector<int32_t> used(costs.token_s.size(), 0);
  for (const size_t expert : pieces) {
    size_t best = loads.size();
    const auto end = [&](size_t gpu) { return costs.token_s[gpu] * (loads[gpu] + share_of(expert)); };
    for (size_t gpu = 0; gpu < loads.size(); ++gpu) {
      const bool is_there = std::find(hosts[expert].begin(), hosts[expert].end(), GpuId(gpu)) != hosts[expert].end();
      if (used[gpu] < slots_of(in, gpu) && !is_there && (best == loads.size() || end(gpu) < end(best))) best = gpu;
    }
    if (best == loads.size()) return {};
    hosts[expert].push_back(GpuId(best));
    loads[best] += share_of(expert);
    ++used[best];
  }
  for (std::vector<GpuId>& gpus : hosts) std::sort(gpus.begin(), gpus.end());
  return hosts;
}

}  // namespace

LayerHosts heuristic_hosts(const PlacementInput& in, const PlacementObjective& costs,
                           const std::vector<int64_t>& load) {
  std::vector<LayerHosts> starts(1);
  for (const GpuId gpu : contiguous_gpus(in)) starts[0].push_back({gpu});
  starts.push_back(place_shares(in, costs, load, std::vector<int32_t>(load.size(), 1)));
  if (slots_total(in) > in.experts) starts.push_back(place_shares(in, costs, load, copies_by_load(in, load)));
  LayerHosts best;
  double least = kNoEnd;
  for (LayerHosts& start : starts) {
    if (start.empty()) continue;
    Search search{in, costs, load, std::move(start)};
    descend(search);
    if (search.cost.value < least * (1 - 1e-12)) {
      least = search.cost.value;
      best = std::move(search.hosts);
    }
  }
  return best;
}

}  // namespace moesim
