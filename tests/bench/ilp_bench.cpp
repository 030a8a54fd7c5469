// How long placements by integer programs take, and how near to their bounds they come: counters are the gap in percent
// and the nodes searched. Numbers stand in docs/benchmarks.md.

#include <benchmark/benchmark.h>

#include "sim/policy/placement/moetuner_programs.h"
#include "tests/support/skewed_input.h"

namespace moesim {
namespace {

void report(benchmark::State& state, const PlacementProof& proof) {
  state.counters["gap_percent"] = proof.objective > 0 ? 100 * (1 - proof.bound / proof.objective) : 0;
  state.counters["nodes"] = double(proof.nodes);
  state.counters["warnings"] = double(proof.warnings.size());
}

PlacementInput mixtral(int32_t gpus) {
  Rng rng(1);
  PlacementInput in = skewed_input(32, 8, gpus, 8 / gpus, rng);
  in.gpus_per_node = 4;
  add_link_costs(in, rng);
  return in;
}

// All clusters of Mixtral proved optimal; the range is the number of GPUs and of slots.
void BM_MoetunerClusters(benchmark::State& state) {
  PlacementInput in = mixtral(int32_t(state.range(0)));
  in.slots_per_gpu = int32_t(state.range(1));
  ProgramOptions options;
  options.gap = {0};
  options.node_limit = 100000;
  PlacementProof proof;
  for (auto _ : state) {
    proof = {};
    for (size_t layer = 0; layer < 32; ++layer) add_part(proof, cluster_layer(in, layer, options).proof);
  }
  report(state, proof);
}
BENCHMARK(BM_MoetunerClusters)
    ->Args({2, 4})
    ->Args({4, 2})
    ->Args({2, 8})
    ->Args({4, 8})
    ->Args({8, 8})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

void BM_Mixtral(benchmark::State& state, const char* policy) {
  const PlacementInput in = mixtral(int32_t(state.range(0)));
  Placement placement;
  for (auto _ : state) placement = placement_by_settings(policy, "", in);
  report(state, *placement.proof);
}
BENCHMARK_CAPTURE(BM_Mixtral, moetuner, "moetuner")
    ->Arg(2)
    ->Arg(4)
    ->Arg(8)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Mixtral, exflow, "exflow")->Arg(2)->Arg(4)->Arg(8)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Mixtral, ilp_balance, "ilp_balance")
    ->Arg(2)
    ->Arg(4)
    ->Arg(8)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Mixtral, ilp_bottleneck, "ilp_bottleneck")
    ->Arg(2)
    ->Arg(4)
    ->Arg(8)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

// 64 experts in 16 layers on 8 GPUs of two servers.
void BM_Of64Experts(benchmark::State& state, const char* policy) {
  Rng rng(1);
  PlacementInput in = skewed_input(16, 64, 8, int32_t(8 + state.range(0)), rng);
  in.gpus_per_node = 4;
  add_link_costs(in, rng);
  Placement placement;
  for (auto _ : state) placement = placement_by_settings(policy, "", in);
  report(state, *placement.proof);
}
BENCHMARK_CAPTURE(BM_Of64Experts, ilp_balance, "ilp_balance")
    ->Arg(0)
    ->Arg(1)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Of64Experts, ilp_bottleneck, "ilp_bottleneck")
    ->Arg(0)
    ->Arg(1)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Of64Experts, moetuner, "moetuner")->Arg(0)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Of64Experts, exflow, "exflow")->Arg(0)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moesim
