// How long a decision takes where experts of a layer run: 8 experts of a decode step of one token, and 128 of a
// prefill. Numbers stand in docs/benchmarks.md.

#include <benchmark/benchmark.h>

#include "tests/support/expert_schedule_case.h"

namespace moesim {
namespace {

// Half of the experts are present, 1 in 16 is on its way. Times as of 32 MB experts on PCIe 4 and 10 cores.
ExpertCase bench_case(int32_t experts, int64_t tokens_max) {
  Rng rng(1);
  std::vector<ExpertWork> works;
  for (int32_t expert = 0; expert < experts; ++expert) {
    ExpertWork work;
    work.expert = 2 * expert;
    work.tokens = rng.between(1, tokens_max);
    work.weight = rng.uniform();
    work.resident = rng.below(2) == 0;
    work.arriving = !work.resident && rng.below(8) == 0;
    if (work.arriving) work.arrives = 800_us;
    work.gpu = 60_us + work.tokens * 100_ns;
    work.cpu = 300_us + work.tokens * 40_us;
    work.copy = 1300_us;
    works.push_back(work);
  }
  ExpertCase c(std::move(works));
  c.in.has_prefill = tokens_max > 1;
  c.in.gpu_busy = 50_us;
  c.in.cpu_first = 30_us;
  return c;
}

// Experts, and the most tokens that one has.
void layers(benchmark::internal::Benchmark* bench) { bench->Args({8, 1})->Args({128, 64}); }

void BM_Schedule(benchmark::State& state, const char* policy) {
  const ExpertCase c = bench_case(int32_t(state.range(0)), state.range(1));
  const auto* const entry = Registry<ExpertSchedulePolicy>::instance().find(policy);
  const AnyStruct options = entry->default_options();
  Rng rng(1);
  ExpertPlan plan;
  for (auto _ : state) benchmark::DoNotOptimize(plan = entry->decide(c.in, options, rng));
  state.counters["makespan_us"] = plan_times(c.in, plan).makespan().seconds() * 1e6;
}

BENCHMARK_CAPTURE(BM_Schedule, on_demand, "on_demand")->Apply(layers);
BENCHMARK_CAPTURE(BM_Schedule, cpu_where_missing, "cpu_where_missing")->Apply(layers);
BENCHMARK_CAPTURE(BM_Schedule, cpu_layers, "cpu_layers")->Apply(layers);
BENCHMARK_CAPTURE(BM_Schedule, threshold, "threshold")->Apply(layers);
BENCHMARK_CAPTURE(BM_Schedule, three_queues, "three_queues")->Apply(layers);
BENCHMARK_CAPTURE(BM_Schedule, two_pointers, "two_pointers")->Apply(layers);
BENCHMARK_CAPTURE(BM_Schedule, deferral, "deferral")->Apply(layers);
BENCHMARK_CAPTURE(BM_Schedule, hybrid_prefill, "hybrid_prefill")->Apply(layers);
BENCHMARK_CAPTURE(BM_Schedule, co_processing, "co_processing")->Apply(layers);
BENCHMARK_CAPTURE(BM_Schedule, exhaustive, "exhaustive")->Apply(layers);

void BM_PlanTimes(benchmark::State& state) {
  const ExpertCase c = bench_case(int32_t(state.range(0)), state.range(1));
  const ExpertPlan plan = plan_by("three_queues", c.in);
  for (auto _ : state) benchmark::DoNotOptimize(plan_times(c.in, plan));
}
BENCHMARK(BM_PlanTimes)->Apply(layers);

void BM_CheckPlan(benchmark::State& state) {
  const ExpertCase c = bench_case(int32_t(state.range(0)), state.range(1));
  const ExpertPlan plan = plan_by("three_queues", c.in);
  for (auto _ : state) check_plan(c.in, plan);
}
BENCHMARK(BM_CheckPlan)->Apply(layers);

}  // namespace
}  // namespace moesim
