// How fast the flow network solves the common work set of network simulators and the all-to-all of an expert-parallel
// step. Each answer is checked against the known one, so that a fast wrong solver is an error and not a record.
//
// Names are workload/hosts/oversubscription/tolerance in per mille, as in --benchmark_filter='a2a/1024/.*'.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "sim/net/work_set.h"
#include "tests/support/net_workload.h"

namespace moesim {
namespace {

struct KnownAnswer {
  Workload workload;
  int32_t hosts;
  int32_t oversubscription;
  double makespan_us;
  double p99_us;
};

// Exact max-min makespans and 99th percentiles; H = 64 by three independent solvers, the rest by one or two.
constexpr KnownAnswer kKnown[] = {
    {Workload::a2a, 64, 1, 348.030, 348.030},          {Workload::a2a, 64, 2, 625.903, 625.903},
    {Workload::zipf, 64, 1, 4457.108, 4457.034},       {Workload::zipf, 64, 2, 4457.108, 4441.268},
    {Workload::stream, 64, 1, 91177.262, 2060.708},    {Workload::rnd, 64, 1, 365.246820, 356.595},
    {Workload::a2a, 256, 1, 1412.335, 1380.877},       {Workload::zipf, 256, 1, 55885.377, 18629.013},
    {Workload::stream, 256, 1, 24255.453, 2220.406},   {Workload::rnd, 256, 2, 2703.141880, 2589.609},
    {Workload::rndz, 256, 1, 56714.995520, 15432.149}, {Workload::stream, 1024, 1, 8028.360, 2050.972},
    {Workload::a2a, 1024, 1, 5769.168, 5653.825},      {Workload::a2a, 1024, 2, 11247.978, 11001.562},
    {Workload::zipf, 1024, 1, 731398.124, 66489.443},  {Workload::zipf, 1024, 2, 731398.124, 66480.670},
};

// To the tolerance, or to 1e-6 where there is none, and half of the last digit that is known, the third after the
// point of a microsecond.
bool agrees(double measured_us, double known_us, double tolerance) {
  return std::abs(measured_us - known_us) <= std::max(1e-6, tolerance) * known_us + 0.5e-3;
}

void solve_and_check(benchmark::State& state, const KnownAnswer& known, double tolerance) {
  const FlowProblem problem = work_set(known.workload, LeafSpine(known.hosts, known.oversubscription));
  FlowTimes times;
  for (auto _ : state) {
    times = solve_flows(problem, {.fidelity = Fidelity::flow, .rate_tolerance = tolerance});
    const double makespan_us = times.makespan.seconds() * 1e6;
    const double p99_us = quantile(sorted_completions(problem, times), 0.99).seconds() * 1e6;
    if (!agrees(makespan_us, known.makespan_us, tolerance) || !agrees(p99_us, known.p99_us, tolerance)) {
      state.SkipWithError(
          ("wrong answer: makespan " + std::to_string(makespan_us) + " us, p99 " + std::to_string(p99_us) + " us")
              .c_str());
      return;
    }
  }
  state.counters["flows"] = double(problem.flows.size());
  state.counters["solves"] = double(times.solves);
}

const char* name_of_workload(Workload workload) {
  for (const auto& [value, name] : enum_names(Workload{}))
    if (value == workload) return name;
  return "?";
}

void register_work_set() {
  for (const KnownAnswer& known : kKnown)
    for (const int per_mille : {0, 10}) {
      const std::string name = std::string(name_of_workload(known.workload)) + "/" + std::to_string(known.hosts) + "/" +
                               std::to_string(known.oversubscription) + "/" + std::to_string(per_mille);
      benchmark::RegisterBenchmark(name.c_str(), [&known, per_mille](benchmark::State& state) {
        solve_and_check(state, known, per_mille / 1000.0);
      })->Unit(benchmark::kMillisecond);
    }
}

void expert_parallel_step(benchmark::State& state) {
  const FlowProblem problem = expert_parallel_workload(1);
  for (auto _ : state) benchmark::DoNotOptimize(solve_flows(problem, Fidelity::flow).digest);
  state.counters["flows"] = double(problem.flows.size());
}
BENCHMARK(expert_parallel_step)->Unit(benchmark::kMillisecond);

[[maybe_unused]] const bool registered = (register_work_set(), true);

}  // namespace
}  // namespace moesim
