#include "sim/moe/offload/throughput_model.h"

#include <gtest/gtest.h>

#include <cmath>

namespace moesim {
namespace {

constexpr ExpertChoice kMixtral{8, 2};

// MoE-Lens, table 2. Its numbers follow from equation 2 with 31.25 GB/s: 150 Tflop/s / 31.25 GB/s x 8 / 2 = 19,200.
// Keys and values are 131,072 B a token of Mixtral 8x7B, and its GB are 1.048576e9 B: 19,200 x 256 / 8,000 = 614.4.
// What is printed is within one of the last digit.
TEST(SaturatingTokens, AreThoseOfMoeLensTableTwo) {
  struct Row {
    double teraflops, thousand_tokens, cache_256;
  };
  for (const Row& row : {Row{150, 19.2, 614}, {181, 23.2, 741}, {312, 40.0, 1277}}) {
    const double tokens = saturating_tokens(FlopRate{row.teraflops * 1e12}, Rate{31.25e9}, kMixtral);
    EXPECT_NEAR(tokens / 1000, row.thousand_tokens, 0.1);
    EXPECT_EQ(std::floor(tokens * 256 * 131072 / 1.048576e9), row.cache_256);
    EXPECT_NEAR(tokens * 512 * 131072 / 1.048576e9, 2 * row.cache_256, 2);
  }
}

// So many tokens have as many flops a byte as the GPU has flops for each byte of the link.
TEST(SaturatingTokens, AreWhereTheStreamedIntensityMeetsTheLink) {
  const double tokens = saturating_tokens(FlopRate{150e12}, Rate{19.5e9}, kMixtral);
  EXPECT_DOUBLE_EQ(streamed_intensity(tokens, kMixtral), 150e12 / 19.5e9);
}

// 2 x 130 / (228 x 32) = 0.03564.
TEST(ParallelismMemoryEfficiency, OfPromptsOf98And32GeneratedTokens) {
  EXPECT_NEAR(parallelism_memory_efficiency({98, 32}), 0.0356, 0.00005);
}

// (98 + 256) / (98 + 128) = 1.566.
TEST(EffectiveCapacity, OfPromptsOf98And256GeneratedTokens) {
  EXPECT_NEAR(effective_capacity_factor({98, 256}), 1.57, 0.005);
}

// 94 GB over 19.5 GB/s are 4.82 s; 70 GB of cache hold 534,058 tokens, whose 0.03564 tokens a token-step make 3,949 a
// second. A GPU of 2,000 tokens a second has the last word.
TEST(ThroughputBound, IsOfTheCacheOrOfTheGpu) {
  const Duration streaming = streaming_time(Bytes{94'000'000'000}, Rate{19.5e9});
  EXPECT_NEAR(streaming.seconds(), 4.8205, 1e-4);
  EXPECT_NEAR(throughput_bound({98, 32}, 70e9 / 131072, streaming, 1e9), 3949, 1);
  EXPECT_EQ(throughput_bound({98, 32}, 70e9 / 131072, streaming, 2000), 2000);
}

// Four query heads share keys that are read at 100 GB/s: 2 x 4 x 1 x 100e9 flop/s, beside 19.5 GB/s of weights.
TEST(HostMemory, FeedsAttentionAndTheLink) {
  EXPECT_EQ(host_memory_rate(Rate{100e9}, Rate{19.5e9}), Rate{119.5e9});
  EXPECT_EQ(cpu_attention_rate(4, 1, Rate{100e9}), FlopRate{800e9});
}

constexpr RooflineLevel kGpu{FlopRate{65e12}, Rate{320e9}};
constexpr RooflineLevel kCpu{FlopRate{1.6e12}, Rate{100e9}};
constexpr Rate kLink{16e9};

// At P1 = 1.6e12 / 16e9 = 100 flops a byte moving is as fast as staying; attention has few, so the CPU is the better
// place, by the ratio of memory to link, 100 / 16.
TEST(HierarchicalRoofline, SaysFromWhereOnMovingPays) {
  const double point = worth_moving(kCpu, kLink);
  EXPECT_DOUBLE_EQ(point, 100);
  EXPECT_EQ(attainable(kGpu, 1e9, kLink, point), attainable(kCpu, point));
  EXPECT_GT(attainable(kGpu, 1e9, kLink, 2 * point), attainable(kCpu, 2 * point));
  EXPECT_DOUBLE_EQ(attainable(kCpu, 4).flop_per_s / attainable(kGpu, 1e9, kLink, 4).flop_per_s, 100.0 / 16);
}

// Experts with 32 flops for each byte of the GPU's memory reach 32 x 320e9 = 10.24 Tflop/s; the link holds them back up
// to P2 = 10.24e12 / 16e9 = 640 flops a byte that travels.
TEST(HierarchicalRoofline, SaysFromWhereOnTheLinkIsNoBound) {
  const double point = link_balance(kGpu, 32, kLink);
  EXPECT_DOUBLE_EQ(point, 640);
  EXPECT_LT(attainable(kGpu, 32, kLink, 0.99 * point), attainable(kGpu, 32));
  EXPECT_EQ(attainable(kGpu, 32, kLink, 1.01 * point), attainable(kGpu, 32));
}

// 16 GB over the link 1 s; 32 GB of the GPU's memory 0.1 s but 13 Tflop 0.2 s; 150 GB of the CPU's memory 1.5 s.
TEST(LayerBounds, AreThoseOfBytesOrFlops) {
  const LayerDemand demand{Bytes{16'000'000'000}, Bytes{32'000'000'000}, 13e12, Bytes{150'000'000'000}, 1e9};
  const LayerBounds bounds = layer_bounds(demand, kLink, kGpu, kCpu);
  EXPECT_EQ(bounds.link, 1000_ms);
  EXPECT_EQ(bounds.gpu, 200_ms);
  EXPECT_EQ(bounds.cpu, 1500_ms);
  EXPECT_EQ(bounds.longest(), bounds.cpu);
}

}  // namespace
}  // namespace moesim
