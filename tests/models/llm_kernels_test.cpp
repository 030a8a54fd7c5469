#include "models/llm_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "models/catalogue.h"

namespace moesim {
namespace {

const CostModel& h100() {
  static const CostModel model{load_gpu("h100-sxm-80"), {}};
  return model;
}

// Each weight that a token meets costs two flop, so parts that work on weights alone show whether all are there.
void expect_two_flops_a_weight(double flops, int64_t tokens, int64_t weights) {
  EXPECT_NEAR(flops / (2.0 * double(tokens) * double(weights)), 1, 1e-12);
}

TEST(LlmKernels, AttentionProjectionsUseEveryAttentionWeight) {
  const std::vector<RequestLength> prefill{{64, 0}};
  for (const char* name :
       {"mixtral-8x7b", "deepseek-v2-lite", "deepseek-v3", "longcat-flash", "minimax-m1", "switch-base-8"}) {
    SCOPED_TRACE(name);
    const LlmSpec llm = load_llm(name);
    for (const int32_t layer : {0, llm.layers - 1}) {
      const AttentionCosts costs = attention_costs({h100(), llm, {}}, layer, prefill);
      expect_two_flops_a_weight(costs.projections.flops + costs.output.flops, 64, attention_parameters(llm, layer));
    }
  }
}

// Absorbed, the weights that expand K and V multiply queries and results instead: as many flop for one token.
TEST(LlmKernels, AbsorbedLatentAttentionUsesEveryWeightToo) {
  const std::vector<RequestLength> decode(16, {1, 1000});
  const LlmSpec llm = load_llm("deepseek-v3");
  const AttentionCosts costs = attention_costs({h100(), llm, {}}, 0, decode);
  expect_two_flops_a_weight(costs.projections.flops + costs.output.flops, 16, attention_parameters(llm, 0));
  // 1,001 keys of 576 and values of 512 for each of 128 heads.
  EXPECT_EQ(costs.attention.flops, 16.0 * 1001 * 128 * 2 * (576 + 512));
}

TEST(LlmKernels, ExpertsAndDenseFfnsUseEveryWeight) {
  const LlmSpec llm = load_llm("deepseek-v2");
  const LlmOnGpu gpu{h100(), llm, {}};
  const std::vector<int64_t> rows{3, 0, 5};
  expect_two_flops_a_weight(experts_cost(gpu, rows).flops, 8, expert_parameters(llm));
  expect_two_flops_a_weight(shared_experts_cost(gpu, 7).flops, 7, shared_parameters(llm));
  expect_two_flops_a_weight(dense_ffn_cost(gpu, 0, 7).flops, 7, dense_parameters(llm, 0));
  expect_two_flops_a_weight(gate_cost(gpu, 7).flops, 7, router_parameters(llm, 1));
  expect_two_flops_a_weight(lm_head_cost(gpu, 7).flops, 7, llm.vocab * llm.hidden);
}

TEST(LlmKernels, TensorParallelismDividesTheWork) {
  const LlmSpec llm = load_llm("mixtral-8x7b");
  const std::vector<int64_t> rows(8, 512);
  const std::vector<RequestLength> prefill{{2048, 0}};
  const LlmOnGpu whole{h100(), llm, {}};
  const LlmOnGpu quarter{h100(), llm, {}, 4};
  EXPECT_EQ(experts_cost(quarter, rows).flops, experts_cost(whole, rows).flops / 4);
  EXPECT_EQ(attention_costs(quarter, 0, prefill).total().flops, attention_costs(whole, 0, prefill).total().flops / 4);
  EXPECT_LT(experts_cost(quarter, rows).time, experts_cost(whole, rows).time);
}

TEST(LlmKernels, AModelWithoutAPartSpendsNothingOnIt) {
  const LlmSpec llm = load_llm("mixtral-8x7b");
  const LlmOnGpu gpu{h100(), llm, {}};
  EXPECT_EQ(shared_experts_cost(gpu, 100).time, Duration{});
  EXPECT_EQ(dense_ffn_cost(gpu, 0, 100).time, Duration{});
  EXPECT_EQ(attention_costs(gpu, 0, {}).total().time, Duration{});
}

TEST(LlmKernels, AWindowMakesDecodeOfLongContextsCheaper) {
  const LlmSpec llm = load_llm("gpt-oss-120b");
  const std::vector<RequestLength> decode(64, {1, 8000});
  const LlmOnGpu gpu{h100(), llm, {}};
  EXPECT_LT(attention_costs(gpu, 0, decode).attention.time, attention_costs(gpu, 1, decode).attention.time);
}

}  // namespace
}  // namespace moesim
