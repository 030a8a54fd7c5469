// Token-layer rows of synthetic traces made in a second on one core, in memory and written; reuse distances beside
// them.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "traces/presets.h"
#include "traces/reuse_distance.h"
#include "traces/trace_synthesis.h"
#include "traces/trace_writer.h"

namespace moesim {
namespace {

constexpr int64_t kTokens = 1 << 18;

// OLMoE's 16 layers and top-8 of 64, or others.
void make(benchmark::State& state, RoutingShape shape, SynthesisRates rates, bool write) {
  const TraceTemplates templates = trace_templates(preset_trace(*find_preset("olmoe-1b-7b")));
  const std::string path = "/tmp/moesim-synthesis-bench-" + std::to_string(getpid()) + ".h5";
  for (auto _ : state) {
    TraceSynthesizer synthesizer(templates, {shape, kTokens, 1, rates});
    TraceWriter writer(synthesizer.head(), path);
    RoutingTrace block;
    while (synthesizer.counts().tokens < kTokens) {
      synthesizer.next_block(8192, block);
      if (write) writer.append(block);
      benchmark::DoNotOptimize(block.ids.data());
    }
    if (write) writer.finish();
  }
  std::remove(path.c_str());
  state.counters["rows/s"] = benchmark::Counter(double(state.iterations()) * double(kTokens) * double(shape.layers),
                                                benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(make, recorded_shape, RoutingShape{16, 64, 8}, SynthesisRates{0.0625, 0.008}, false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(make, often_new, RoutingShape{16, 64, 8}, SynthesisRates{0.5, 0.25}, false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(make, more_experts_and_layers, RoutingShape{60, 256, 8}, SynthesisRates{0.0625, 0.008}, false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(make, written, RoutingShape{16, 64, 8}, SynthesisRates{0.0625, 0.008}, true)
    ->Unit(benchmark::kMillisecond);

void reuse_distances(benchmark::State& state) {
  const RoutingTrace trace = preset_trace(*find_preset("olmoe-1b-7b"));
  for (auto _ : state) benchmark::DoNotOptimize(lru_hit_rates(trace));
  state.counters["accesses/s"] =
      benchmark::Counter(double(state.iterations()) * double(trace.ids.size()), benchmark::Counter::kIsRate);
}
BENCHMARK(reuse_distances)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moesim
