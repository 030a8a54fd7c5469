// Searches for placements at the size of DeepSeek-V3: 256 experts in 58 layers on 64 GPUs of 8 servers, five slots a
// GPU and layer.
#include <benchmark/benchmark.h>

#include <string_view>

#include "sim/moe/placement_cost.h"
#include "tests/support/placement_case.h"

namespace moesim {
namespace {

PlacementInput case_on(const char* fabric) {
  PlacementInput in = large_case(1);
  if (fabric == nullptr) return in;
  in.costs = cluster_costs(fabric, 8, fabric == std::string_view("leaf-spine") ? R"({"nodes_per_leaf": 4})" : "{}");
  return in;
}

// The cost of a layer after a swap of two experts of different GPUs.
void BM_CostAfterSwap(benchmark::State& state, const char* fabric) {
  const PlacementInput in = case_on(fabric);
  const PlacementObjective objective = placement_objective(in);
  const LayerCost cost = layer_cost(objective, gpu_loads(in, contiguous_placement(in), 0));
  size_t from = 0;
  for (auto _ : state) {
    from = (from + 7) % 64;
    benchmark::DoNotOptimize(cost_after_shift(objective, cost, from, (from + 13) % 64, 100));
  }
  state.counters["rows"] = double(objective.dispatch.rows + objective.combine.rows);
}
BENCHMARK_CAPTURE(BM_CostAfterSwap, loads_alone, nullptr);
BENCHMARK_CAPTURE(BM_CostAfterSwap, leaf_spine, "leaf-spine");
BENCHMARK_CAPTURE(BM_CostAfterSwap, rail_optimised, "rail-optimised");

// The swap is also carried out.
void BM_Swap(benchmark::State& state, const char* fabric) {
  const PlacementInput in = case_on(fabric);
  const PlacementObjective objective = placement_objective(in);
  LayerCost cost = layer_cost(objective, gpu_loads(in, contiguous_placement(in), 0));
  double tokens = 100;
  for (auto _ : state) {
    shift(objective, cost, 3, 40, tokens);
    tokens = -tokens;
  }
}
BENCHMARK_CAPTURE(BM_Swap, leaf_spine, "leaf-spine");

// All 58 layers; `max_over_mean` is the worst layer's load.
void BM_Place(benchmark::State& state, const char* policy, const char* fabric) {
  const PlacementInput in = case_on(fabric);
  Placement placement;
  for (auto _ : state) {
    Rng rng(1);
    placement = PolicyChoice<PlacementPolicy>(policy).decide(in, rng);
  }
  PlacementInput loads = in;
  loads.costs = {};
  double worst = 0;
  const PlacementObjective objective = placement_objective(loads);
  for (size_t layer = 0; layer < 58; ++layer)
    worst = std::max(worst, layer_cost(objective, gpu_loads(loads, placement, layer)).value);
  state.counters["max_over_mean"] = worst;
  state.counters["cost"] = placement_cost(in, placement);
}
BENCHMARK_CAPTURE(BM_Place, eplb, "eplb", nullptr)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Place, replicated, "replicated", nullptr)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Place, eplb_leaf_spine, "eplb", "leaf-spine")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Place, replicated_leaf_spine, "replicated", "leaf-spine")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Place, local_search_leaf_spine, "local_search", "leaf-spine")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Place, annealing_leaf_spine, "annealing", "leaf-spine")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moesim
