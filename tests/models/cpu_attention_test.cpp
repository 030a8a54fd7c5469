#include <gtest/gtest.h>

#include "models/catalogue.h"
#include "models/cpu_cost.h"
#include "models/llm_kernels.h"

namespace moesim {
namespace {

// Mixtral 8x7B: 32 query heads and 8 of keys and values, 128 wide, in 16 bits. Two requests with 99 tokens before them.
TEST(AttentionData, CountsWhatAttentionReadsAndWrites) {
  const LlmSpec llm = load_llm("mixtral-8x7b");
  const std::vector<RequestLength> requests(2, {1, 99});
  const AttentionData data = attention_data(llm, {}, 0, requests);
  EXPECT_EQ(data.query, Bytes{2 * 32 * 128 * 2});
  EXPECT_EQ(data.result, data.query);
  EXPECT_EQ(data.cache_new, Bytes{2 * 4096});
  EXPECT_EQ(data.cache_past, Bytes{2 * 99 * 4096});
  EXPECT_EQ(data.cache_read, Bytes{2 * 100 * 4096});
  EXPECT_DOUBLE_EQ(data.flops, 2.0 * 32 * 256 * 2 * 100);
}

// Its latent attention keeps 512 + 64 values a token, and its heads compute with these in a decode.
TEST(AttentionData, OfLatentAttentionIsOfTheLatent) {
  const LlmSpec llm = load_llm("deepseek-v2-lite");
  const std::vector<RequestLength> requests(1, {1, 9});
  const AttentionData data = attention_data(llm, {}, 1, requests);
  EXPECT_EQ(data.cache_read, Bytes{10 * 576 * 2});
  EXPECT_EQ(data.query, Bytes{llm.heads * 576 * 2});
  EXPECT_EQ(data.result, Bytes{llm.heads * 512 * 2});
}

// 0.73 x 204.8 = 149.5 GB/s, and 40 cores of 147 Gflop/s.
TEST(CpuAttentionRates, FollowFromTheDataSheet) {
  const CpuAttentionRates rates = cpu_attention_rates(load_cpu("xeon-platinum-8380"));
  EXPECT_NEAR(rates.memory.bytes_per_s, 149.5e9, 0.1e9);
  EXPECT_NEAR(rates.compute.flop_per_s, 5.88e12, 1e9);
  EXPECT_EQ(cpu_attention_rates(load_cpu("xeon-platinum-8480")).compute, FlopRate{100e12});
}

// 100 GB at 100 GB/s and 1 Tflop at 1 Tflop/s, each 1 s: 2^(1/4) s together, 1 s where one of them is missing.
TEST(CpuAttentionTime, CombinesReadingAndComputing) {
  const CpuAttentionRates rates{Rate{100e9}, FlopRate{1e12}};
  AttentionData data;
  data.cache_read = Bytes{100'000'000'000};
  EXPECT_NEAR(cpu_attention_time(rates, data).seconds(), 1, 1e-9);
  data.flops = 1e12;
  EXPECT_NEAR(cpu_attention_time(rates, data).seconds(), 1.189207115, 1e-9);
}

}  // namespace
}  // namespace moesim
