// Orders in which nested planes of a layer are loaded: how far each is from the fastest of all orders, and how long it
// takes to find one.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

#include "sim/core/random.h"
#include "sim/moe/offload/nested_planes.h"

namespace moesim {
namespace {

using Order = std::vector<ExpertPlane>;

// A layer as D2MoE has it: widths of 2, 3 and 4 bits for 30, 40 and 30 % of the tokens, so that a base plane takes
// twice as long as another. Experts are of log-normal popularity.
struct Layer {
  std::vector<int64_t> tokens;
  std::vector<Duration> load = {2_us, 1_us, 1_us};
  std::vector<Duration> token;

  PlaneDemand demand() const { return {3, tokens, {}, load, token}; }
};

// All tokens take `compute` times as long as all planes.
Layer random_layer(size_t experts, int64_t tokens, double compute, Rng& rng) {
  Layer layer;
  layer.tokens.assign(3 * experts, 0);
  std::vector<double> popularity;
  for (size_t expert = 0; expert < experts; ++expert) popularity.push_back(rng.log_normal(0, 1));
  const AliasTable popular(popularity);
  for (int64_t token = 0; token < tokens; ++token) {
    const double drawn = rng.uniform();
    ++layer.tokens[3 * popular.draw(rng) + (drawn < 0.3 ? 0 : drawn < 0.7 ? 1 : 2)];
  }
  layer.token.assign(3, duration_of_seconds(4e-6 * double(experts) * compute / double(tokens)));
  return layer;
}

double time_of(const PlaneDemand& demand, const Order& order) { return plane_times(demand, order).makespan.seconds(); }

double fastest(const PlaneDemand& demand) {
  std::vector<int32_t> experts;
  for (const ExpertPlane p : planes_by_expert(demand)) experts.push_back(p.expert);
  double least = time_of(demand, planes_by_expert(demand));
  Order order;
  do {
    std::vector<int32_t> next(size_t(demand.experts()), 0);
    order.clear();
    for (const int32_t expert : experts) order.push_back({expert, next[size_t(expert)]++});
    least = std::min(least, time_of(demand, order));
  } while (std::next_permutation(experts.begin(), experts.end()));
  return least;
}

// 1,000 layers of three experts: range(0) tokens, range(1) / 100 times as long as the planes.
void BM_OverTheFastest(benchmark::State& state) {
  constexpr double kLayers = 1000;
  double hottest = 0;
  double worst = 0;
  double by_expert = 0;
  double bases_first = 0;
  for (auto _ : state) {
    Rng rng(7);
    for (int i = 0; i < int(kLayers); ++i) {
      const Layer layer = random_layer(3, state.range(0), double(state.range(1)) / 100, rng);
      const PlaneDemand demand = layer.demand();
      Order order = planes_by_expert(demand);
      const double least = fastest(demand);
      const double over = time_of(demand, hottest_planes_first(demand)) / least - 1;
      hottest += over / kLayers;
      worst = std::max(worst, over);
      by_expert += (time_of(demand, order) / least - 1) / kLayers;
      std::stable_sort(order.begin(), order.end(), [](ExpertPlane a, ExpertPlane b) { return a.plane < b.plane; });
      bases_first += (time_of(demand, order) / least - 1) / kLayers;
    }
  }
  state.counters["hottest_%"] = 100 * hottest;
  state.counters["hottest_worst_%"] = 100 * worst;
  state.counters["by_expert_%"] = 100 * by_expert;
  state.counters["bases_first_%"] = 100 * bases_first;
}
BENCHMARK(BM_OverTheFastest)->ArgsProduct({{8, 32, 128}, {25, 100, 400}})->Iterations(1)->Unit(benchmark::kMillisecond);

void BM_HottestPlanesFirst(benchmark::State& state) {
  Rng rng(7);
  const Layer layer = random_layer(size_t(state.range(0)), 8 * state.range(0), 1, rng);
  for (auto _ : state) benchmark::DoNotOptimize(hottest_planes_first(layer.demand()));
}
BENCHMARK(BM_HottestPlanesFirst)->Arg(8)->Arg(256);

}  // namespace
}  // namespace moesim
