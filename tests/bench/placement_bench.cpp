// Searches for placements at the size of DeepSeek-V3: 256 experts in 58 layers on 64 GPUs of 8 servers, five slots a
// GPU and layer.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "sim/config/json.h"
#include "sim/moe/placement_cost.h"
#include "tests/support/placement_case.h"
#include "traces/routing_trace_file.h"

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
  const LayerCost cost =
      layer_cost(objective, gpu_loads(contiguous_placement(in).hosts[0], in.past_load[0], size_t(in.gpus)));
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
  LayerCost cost =
      layer_cost(objective, gpu_loads(contiguous_placement(in).hosts[0], in.past_load[0], size_t(in.gpus)));
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
    worst = std::max(
        worst,
        layer_cost(objective, gpu_loads(placement.hosts[layer], loads.past_load[layer], size_t(loads.gpus))).value);
  state.counters["max_over_mean"] = worst;
  state.counters["cost"] = placement_cost(in, placement);
}
BENCHMARK_CAPTURE(BM_Place, eplb, "eplb", nullptr)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Place, replicated, "replicated", nullptr)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Place, hedged, "hedged", nullptr)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Place, eplb_leaf_spine, "eplb", "leaf-spine")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Place, replicated_leaf_spine, "replicated", "leaf-spine")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Place, local_search_leaf_spine, "local_search", "leaf-spine")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Place, annealing_leaf_spine, "annealing", "leaf-spine")->Unit(benchmark::kMillisecond);

// Trained on one mixture of domains, judged on another: the cost of the past and of what came, the mean of five seeds.
void BM_UnseenDomains(benchmark::State& state, const char* policy) {
  double seen = 0;
  double unseen = 0;
  for (auto _ : state)
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      Rng rng(seed);
      const DomainLoads domains(58, 256, rng);
      PlacementInput in = large_case(seed);
      in.costs = cluster_costs("leaf-spine", 8, R"({"nodes_per_leaf": 4})");
      domains.set_past(random_mixture(rng), 1e7, in);
      const Placement placement = PolicyChoice<PlacementPolicy>(policy).decide(in, rng);
      seen += placement_cost(in, placement) / 5;
      Rng later(seed + 100);
      in.past_load = domains.loads(random_mixture(later), 1e7);
      unseen += placement_cost(in, placement) / 5;
    }
  state.counters["seen"] = seen / double(state.iterations());
  state.counters["unseen"] = unseen / double(state.iterations());
}
BENCHMARK_CAPTURE(BM_UnseenDomains, contiguous, "contiguous")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_UnseenDomains, eplb, "eplb")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_UnseenDomains, replicated, "replicated")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_UnseenDomains, hedged, "hedged")->Unit(benchmark::kMillisecond);

// 64 experts in 16 layers on one server of eight GPUs, without spare slots, by how often the search begins anew.
void BM_SmallSearch(benchmark::State& state) {
  PlacementInput in;
  Rng rng(1);
  const DomainLoads domains(16, 64, rng);
  in.layers = 16;
  in.experts = 64;
  in.gpus = in.gpus_per_node = in.slots_per_gpu = 8;
  in.past_load = domains.loads(random_mixture(rng), 1e6);
  in.costs = cluster_costs("single-node", 1);
  const JsonNode options = parse_json(
      R"({"policy": "local_search", "checks": 100000000000, "restarts": )" + std::to_string(state.range(0)) + "}",
      "bench");
  PolicyChoice<PlacementPolicy> choice;
  std::vector<Fault> faults;
  choice.read(options, Place{}, faults);
  double cost = 0;
  for (auto _ : state) cost = placement_cost(in, choice.decide(in, rng));
  state.counters["cost"] = cost;
}
BENCHMARK(BM_SmallSearch)->Arg(0)->Arg(8)->Arg(1000)->Unit(benchmark::kMillisecond)->Iterations(1);

// The recorded sample, from the root of the tree: 64 experts in 16 layers, on a server of eight GPUs. `load` is the
// worst layer's largest load over its bound.
void BM_RecordedSample(benchmark::State& state, const char* options, int32_t slots) {
  const RoutingTrace trace = read_routing_trace("traces/samples/moe64k8-sample.h5");
  PlacementInput in;
  in.layers = int32_t(trace.layers);
  in.experts = int32_t(trace.experts);
  in.gpus = in.gpus_per_node = 8;
  in.slots_per_gpu = slots;
  in.past_load.assign(size_t(in.layers), std::vector<int64_t>(size_t(in.experts), 0));
  for (int64_t token = 0; token < trace.tokens; ++token)
    for (int64_t layer = 0; layer < trace.layers; ++layer)
      for (const uint16_t expert : choices(trace, token, layer)) ++in.past_load[size_t(layer)][expert];
  in.costs = cluster_costs("single-node", 1);
  PolicyChoice<PlacementPolicy> choice;
  std::vector<Fault> faults;
  choice.read(parse_json(options, "bench"), Place{}, faults);
  Placement placement;
  for (auto _ : state) {
    Rng rng(1);
    placement = choice.decide(in, rng);
  }
  double worst = 0;
  for (size_t layer = 0; layer < placement.hosts.size(); ++layer) {
    const std::vector<double> load = gpu_loads(placement.hosts[layer], in.past_load[layer], size_t(in.gpus));
    worst = std::max(worst, *std::max_element(load.begin(), load.end()) / load_bound(in, placement, layer));
  }
  state.counters["load"] = worst;
  state.counters["cost_ms"] = placement_cost(in, placement) * 1e3;
  if (placement.proof) state.counters["gap"] = 1 - placement.proof->bound / placement.proof->objective;
}
BENCHMARK_CAPTURE(BM_RecordedSample, balance, R"({"policy": "ilp_balance"})", 8)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_RecordedSample, balance_spare, R"({"policy": "ilp_balance"})", 9)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_RecordedSample, bottleneck, R"({"policy": "ilp_bottleneck"})", 8)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_RecordedSample, bottleneck_spare, R"({"policy": "ilp_bottleneck"})", 9)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_RecordedSample, local_search, R"({"policy": "local_search"})", 8)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_RecordedSample, local_search_spare, R"({"policy": "local_search"})", 9)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moesim
