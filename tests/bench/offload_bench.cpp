// Decode of one sequence with offloaded experts, whole runs on one core: Qwen3-30B-A3B with 48 layers of 128 experts, 8
// for a token, of which a quarter fits. Layers times steps in a second, by cache and by prefetch policy.
#include <benchmark/benchmark.h>

#include "sim/run/runner.h"

namespace moesim {
namespace {

constexpr int64_t kSteps = 200;
constexpr int64_t kLayers = 48;

const char* const kScenario = R"({
  "format_version": 1, "model": "qwen3-30b-a3b", "steps": 200, "batch": [{"new_tokens": 1, "context": 100}],
  "cluster": {"node": {"gpu": "rtx-4090-24", "gpus": 1, "nics": 0}},
  "offload": {"references": false, "resident": 0.25}})";

void decode(benchmark::State& state, const std::vector<std::string>& settings, const std::string& label) {
  JsonNode root = parse_json(kScenario, "bench.json");
  for (const std::string& setting : settings) set_pointer(root, setting);
  TraceStore traces;
  const LoadedScenario loaded = load_scenario(root, "bench.json", traces);
  for (auto _ : state) benchmark::DoNotOptimize(run_scenario(loaded, {}));
  state.SetLabel(label);
  state.counters["layer_steps"] =
      benchmark::Counter(double(state.iterations()) * double(kSteps * kLayers), benchmark::Counter::kIsRate);
}

// The policy of that number among those that are registered.
template <class Kind>
void by_policy(benchmark::State& state, const std::string& setting) {
  const auto& entries = Registry<Kind>::instance().entries();
  const auto number = size_t(state.range(0));
  if (number >= entries.size()) return state.SkipWithError("there are fewer policies");
  decode(state, {setting + "=" + entries[number].name}, entries[number].name);
}

void cache(benchmark::State& state) { by_policy<CachePolicy>(state, "/offload/cache"); }
void prefetch(benchmark::State& state) { by_policy<PrefetchPolicy>(state, "/offload/prefetch"); }
void schedule(benchmark::State& state) { by_policy<ExpertSchedulePolicy>(state, "/offload/schedule"); }

BENCHMARK(cache)->DenseRange(0, 13)->Unit(benchmark::kMillisecond);
BENCHMARK(prefetch)->DenseRange(0, 9)->Unit(benchmark::kMillisecond);
BENCHMARK(schedule)->DenseRange(0, 9)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moesim
