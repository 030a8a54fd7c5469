// The cost of choosing a path for each flow of many all-to-alls.
#include <benchmark/benchmark.h>

#include "tests/topologies/built.h"
#include "topologies/routes.h"

namespace moesim {
namespace {

Topology cluster(int32_t nodes) { return built("leaf-spine", {nodes, {}}, R"({"nodes_per_leaf": 4})"); }

uint64_t route_all_pairs(Routes& routes, const Topology& topology, uint64_t key) {
  uint64_t links = 0;
  for (const VertexId from : topology.gpus)
    for (const VertexId to : topology.gpus)
      if (from != to) links += routes.path(from, to, key).size();
  return links;
}

// 64 GPUs, 116 all-to-alls of 4,032 flows, from nothing: the routes of one DeepSeek-V3 step.
void BM_RoutesOfAStep(benchmark::State& state) {
  const Topology topology = cluster(8);
  for (auto _ : state) {
    Routes routes(topology, 1);
    for (uint64_t layer = 0; layer < 116; ++layer) benchmark::DoNotOptimize(route_all_pairs(routes, topology, layer));
  }
  state.SetItemsProcessed(state.iterations() * 116 * 64 * 63);
}
BENCHMARK(BM_RoutesOfAStep)->Unit(benchmark::kMillisecond);

// One all-to-all whose pairs are known already.
void BM_RouteKnownPairs(benchmark::State& state) {
  const Topology topology = cluster(int32_t(state.range(0)) / 8);
  Routes routes(topology, 1);
  for (uint64_t key = 0; key < 64; ++key) route_all_pairs(routes, topology, key);
  uint64_t key = 0;
  for (auto _ : state) benchmark::DoNotOptimize(route_all_pairs(routes, topology, key++ % 64));
  state.SetItemsProcessed(state.iterations() * state.range(0) * (state.range(0) - 1));
}
BENCHMARK(BM_RouteKnownPairs)->Arg(64)->Arg(256)->Unit(benchmark::kMicrosecond);

// One all-to-all of a cluster that no flow has crossed yet.
void BM_RouteNewPairs(benchmark::State& state) {
  const Topology topology = cluster(int32_t(state.range(0)) / 8);
  for (auto _ : state) {
    Routes routes(topology, 1);
    benchmark::DoNotOptimize(route_all_pairs(routes, topology, 0));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * (state.range(0) - 1));
}
BENCHMARK(BM_RouteNewPairs)->Arg(64)->Arg(1024)->Unit(benchmark::kMillisecond);

void BM_BuildLeafSpine(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(cluster(int32_t(state.range(0))));
}
BENCHMARK(BM_BuildLeafSpine)->Arg(8)->Arg(1024)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moesim
