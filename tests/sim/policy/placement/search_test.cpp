// Placements that search on the cost of the past.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "sim/core/random.h"
#include "sim/moe/placement_cost.h"
#include "tests/support/placement_case.h"
#include "traces/routing_trace_file.h"

namespace moesim {
namespace {

Placement place(const char* policy, const PlacementInput& in) {
  Rng rng(1);
  return PolicyChoice<PlacementPolicy>(policy).decide(in, rng);
}

double load_max_over_mean(const PlacementInput& in, const Placement& placement, size_t layer) {
  const std::vector<double> load = gpu_loads(placement.hosts[layer], in.past_load[layer], size_t(in.gpus));
  double sum = 0;
  for (const double gpu : load) sum += gpu;
  return *std::max_element(load.begin(), load.end()) * in.gpus / sum;
}

// The least cost of all placements without copies that fill the slots.
double least_cost(const PlacementInput& in, const PlacementObjective& objective, std::vector<double>& load,
                  std::vector<int32_t>& used, size_t expert) {
  if (expert == in.past_load[0].size()) return layer_cost(objective, load).value;
  double least = 1e300;
  for (size_t gpu = 0; gpu < load.size(); ++gpu) {
    if (used[gpu] == slots_of(in, gpu)) continue;
    const double before = load[gpu];
    ++used[gpu];
    load[gpu] += double(in.past_load[0][expert]);
    least = std::min(least, least_cost(in, objective, load, used, expert + 1));
    load[gpu] = before;
    --used[gpu];
  }
  return least;
}

TEST(LocalSearch, FindsTheBestOfAllPlacementsOfSmallLayers) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PlacementInput in = random_placement_input(rng, false, true);
    in.layers = 1;
    in.gpus = std::min(in.gpus, 3);
    in.gpus_per_node = in.gpus;
    in.experts = int32_t(rng.between(in.gpus, 8));
    in.slots.clear();
    in.slots_per_gpu = (in.experts + in.gpus - 1) / in.gpus;
    in.past_load = {{}};
    for (int32_t expert = 0; expert < in.experts; ++expert) in.past_load[0].push_back(int64_t(rng.below(1000)));
    in.costs = {};
    const PlacementObjective objective = placement_objective(in);
    std::vector<double> load(size_t(in.gpus), 0);
    std::vector<int32_t> used(size_t(in.gpus), 0);
    const double least = least_cost(in, objective, load, used, 0);
    EXPECT_LE(placement_cost(in, place("local_search", in)), least * (1 + 1e-9));
    EXPECT_LE(placement_cost(in, place("annealing", in)), least * (1 + 1e-9));
  }
}

// 256 experts on 64 GPUs with a spare slot each.
TEST(Replicated, LevelsLoadsAtProductionSize) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    SCOPED_TRACE(seed);
    PlacementInput in = large_case(seed);
    in.layers = 6;
    in.past_load.resize(6);
    const Placement placement = place("replicated", in);
    for (size_t layer = 0; layer < 6; ++layer) EXPECT_LE(load_max_over_mean(in, placement, layer), 1.05);
  }
}

// A hot expert's copies lie on different GPUs, and on as many servers and rails as there are copies of it, if there
// are as many.
TEST(Replicated, SpreadsCopiesOverServersAndRails) {
  PlacementInput in = large_case(3);
  in.layers = 2;
  in.past_load.resize(2);
  for (auto& layer : in.past_load) layer[17] = layer[18] * 30;
  const Placement placement = place("replicated", in);
  for (const auto& layer : placement.hosts)
    for (const std::vector<GpuId>& hosts : layer) {
      std::set<size_t> gpus;
      std::set<size_t> nodes;
      std::set<size_t> rails;
      for (const GpuId gpu : hosts) {
        gpus.insert(index(gpu));
        nodes.insert(index(gpu) / 8);
        rails.insert(index(gpu) % 8);
      }
      EXPECT_EQ(gpus.size(), hosts.size());
      EXPECT_EQ(nodes.size(), std::min<size_t>(hosts.size(), 8));
      EXPECT_EQ(rails.size(), std::min<size_t>(hosts.size(), 8));
    }
}

// The recorded sample: 64 experts in 16 layers, on 8 GPUs, with and without spare slots.
PlacementInput recorded_case(int32_t slots) {
  const RoutingTrace trace = read_routing_trace(MOESIM_SOURCE_DIR "/traces/samples/moe64k8-sample.h5");
  PlacementInput in;
  in.layers = int32_t(trace.layers);
  in.experts = int32_t(trace.experts);
  in.gpus = in.gpus_per_node = 8;
  in.slots_per_gpu = slots;
  in.past_load.assign(size_t(in.layers), std::vector<int64_t>(size_t(in.experts), 0));
  for (int64_t token = 0; token < trace.tokens; ++token)
    for (int64_t layer = 0; layer < trace.layers; ++layer)
      for (const uint16_t expert : choices(trace, token, layer))
        if (expert < in.experts) ++in.past_load[size_t(layer)][expert];
  return in;
}

TEST(Replicated, ComesWithinTwoPercentOfTheBoundOnTheRecordedSample) {
  for (const int32_t slots : {8, 9, 10}) {
    SCOPED_TRACE(slots);
    const PlacementInput in = recorded_case(slots);
    const Placement placement = place("replicated", in);
    for (size_t layer = 0; layer < placement.hosts.size(); ++layer) {
      const std::vector<double> load = gpu_loads(placement.hosts[layer], in.past_load[layer], size_t(in.gpus));
      EXPECT_LE(*std::max_element(load.begin(), load.end()), 1.02 * load_bound(in, placement, layer));
    }
  }
}

}  // namespace
}  // namespace moesim
