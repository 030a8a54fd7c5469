// One token's prediction of one layer of 128 experts, top-8, and the learning of the tables.
#include <benchmark/benchmark.h>

#include <string_view>

#include "tests/support/prediction_case.h"

namespace moesim {
namespace {

constexpr int32_t kIds = 4000;

// 8 layers, 20000 past tokens of 4000 ids.
PredictionCase bench_case() {
  PredictionCase c;
  c.layers = 8;
  c.experts = 128;
  c.top_k = 8;
  c.placement.hosts.assign(size_t(c.layers), std::vector<std::vector<GpuId>>(128, {GpuId(0)}));
  Rng rng(1);
  for (int32_t token = 0; token < 20000; ++token) {
    c.past_token.push_back(int32_t(rng.below(kIds)));
    c.past_domain.push_back(c.past_token.back() % 4);
    for (int32_t layer = 0; layer < c.layers; ++layer)
      for (const uint16_t expert : choices_of(c, c.past_token.back(), layer, rng)) c.past_ids.push_back(expert);
  }
  c.step = {.tokens = 64, .layers = c.layers, .experts = 128, .top_k = 8, .ids = {}, .first_token = {0, 64}};
  for (int32_t token = 0; token < 64; ++token) {
    c.tokens.token.push_back(int32_t(rng.below(kIds)));
    c.tokens.domain.push_back(c.tokens.token.back() % 4);
  }
  for (int32_t row = 0; row < c.layers * 64; ++row)
    for (const uint16_t expert : choices_of(c, c.tokens.token[size_t(row % 64)], row / 64, rng))
      c.step.ids.push_back(expert);
  return c;
}

void predict(benchmark::State& state, const char* name) {
  static const PredictionCase c = bench_case();
  const bool is_prior = std::string_view(name) == "prior";
  ExpertPredictor predictor = learnt(PolicyChoice<PredictionPolicy>(is_prior ? "transition" : name), c);
  if (is_prior)
    for (PredictedLayer& layer : predictor.layers) layer.by_expert.clear();
  std::vector<float> expected(size_t(c.experts));
  int64_t call = 0;
  for (auto _ : state) {
    const int32_t layer = int32_t(call % (c.layers - 1)) + 1;
    predict_experts(predictor, c.tokens, c.step, call % c.step.tokens, layer, layer, expected);
    benchmark::DoNotOptimize(expected.data());
    ++call;
  }
}
BENCHMARK_CAPTURE(predict, prior, "prior");
BENCHMARK_CAPTURE(predict, transition, "transition");
BENCHMARK_CAPTURE(predict, combined, "combined");
BENCHMARK_CAPTURE(predict, token_table, "token_table");
BENCHMARK_CAPTURE(predict, oracle_gate, "oracle_gate");

void learn(benchmark::State& state, const char* name) {
  static const PredictionCase c = bench_case();
  for (auto _ : state) benchmark::DoNotOptimize(learnt(PolicyChoice<PredictionPolicy>(name), c));
}
BENCHMARK_CAPTURE(learn, combined, "combined")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moesim
