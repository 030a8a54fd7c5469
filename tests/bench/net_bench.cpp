// How fast the flow network solves the common work set of network simulators and the all-to-all of an expert-parallel
// step. Each answer is checked against the known one, so that a fast wrong solver is an error and not a record.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>

#include "tests/support/net_workload.h"

namespace moesim {
namespace {

struct KnownAnswer {
  double makespan_ms;
  double p99_us;
};

// To 1e-6, and half of the last digit that is known, the third after the point of a microsecond.
bool agrees(double measured_us, double known_us) {
  return std::abs(measured_us - known_us) <= 1e-6 * known_us + 0.5e-3;
}

void solve_and_check(benchmark::State& state, const FlowProblem& problem, KnownAnswer known) {
  for (auto _ : state) {
    const FlowTimes times = solve_flows(problem, Fidelity::flow);
    const double makespan_us = times.makespan.seconds() * 1e6;
    const double p99_us = completion_p99(problem, times).seconds() * 1e6;
    if (!agrees(makespan_us, known.makespan_ms * 1e3) || !agrees(p99_us, known.p99_us)) {
      state.SkipWithError(
          ("wrong answer: makespan " + std::to_string(makespan_us) + " us, p99 " + std::to_string(p99_us) + " us")
              .c_str());
      return;
    }
  }
  state.counters["flows"] = double(problem.flows.size());
}

void all_to_all(benchmark::State& state, KnownAnswer known) {
  solve_and_check(state, a2a_workload({int(state.range(0)), int(state.range(1))}), known);
}
void zipf(benchmark::State& state, KnownAnswer known) {
  solve_and_check(state, zipf_workload({int(state.range(0)), int(state.range(1))}), known);
}
void stream(benchmark::State& state, KnownAnswer known) {
  solve_and_check(state, stream_workload({int(state.range(0)), int(state.range(1))}, int(state.range(1))), known);
}
void random_sizes(benchmark::State& state, KnownAnswer known) {
  solve_and_check(state, with_random_sizes(a2a_workload({int(state.range(0)), int(state.range(1))})), known);
}
void random_sizes_zipf(benchmark::State& state, KnownAnswer known) {
  solve_and_check(state, with_random_sizes(zipf_workload({int(state.range(0)), int(state.range(1))})), known);
}

void expert_parallel_step(benchmark::State& state) {
  const FlowProblem problem = expert_parallel_workload(1);
  for (auto _ : state) benchmark::DoNotOptimize(solve_flows(problem, Fidelity::flow).digest);
  state.counters["flows"] = double(problem.flows.size());
}

BENCHMARK(expert_parallel_step)->Unit(benchmark::kMillisecond);
// Hosts, oversubscription. Makespans and 99th percentiles found by two or three independent solvers.
BENCHMARK_CAPTURE(all_to_all, 64, KnownAnswer{0.348030, 348.030})->Args({64, 1})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(all_to_all, 64, KnownAnswer{0.625903, 625.903})->Args({64, 2})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(zipf, 64, KnownAnswer{4.457108, 4457.034})->Args({64, 1})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(zipf, 64, KnownAnswer{4.457108, 4441.268})->Args({64, 2})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(stream, 64, KnownAnswer{91.177262, 2060.708})->Args({64, 1})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(random_sizes, 64, KnownAnswer{0.365246820, 356.595})->Args({64, 1})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(all_to_all, 256, KnownAnswer{1.412335, 1380.877})->Args({256, 1})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(zipf, 256, KnownAnswer{55.885377, 18629.013})->Args({256, 1})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(stream, 256, KnownAnswer{24.255453, 2220.406})->Args({256, 1})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(random_sizes, 256, KnownAnswer{2.703141880, 2589.609})->Args({256, 2})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(random_sizes_zipf, 256, KnownAnswer{56.714995520, 15432.149})
    ->Args({256, 1})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moesim
