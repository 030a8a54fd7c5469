#include "models/memory.h"

#include <gtest/gtest.h>

#include "models/catalogue.h"

namespace moesim {
namespace {

// A whole Mixtral on one GPU: every parameter, two bytes each.
TEST(Memory, AllPartsTogetherAreTheModel) {
  for (const std::string& name : catalogue_names(CatalogueKind::llm)) {
    SCOPED_TRACE(name);
    const LlmSpec llm = load_llm(name);
    const MemoryUse use = memory_use(llm, {.experts = int64_t(llm.experts) * moe_layers(llm)});
    EXPECT_EQ(use.total(), Bytes{2 * total_parameters(llm)});
  }
}

// 8 experts of 3 x 4,096 x 14,336 in int4, half a byte; 4 GPUs share attention.
TEST(Memory, FollowsPrecisionAndTensorParallelism) {
  const LlmSpec llm = load_llm("mixtral-8x7b");
  const MemoryUse use =
      memory_use(llm, {.experts = 8, .tensor_parallel = 4, .precision = {.experts = Precision::int4}});
  EXPECT_EQ(use.experts, Bytes{8 * 176'160'768ll / 4 / 2});
  EXPECT_EQ(use.attention, Bytes{32 * 41'943'040ll / 4 * 2});
}

// 1,000 tokens x 32 layers x 4,096 bytes on one GPU; 8 KV heads on 4 GPUs are 2 each, on 16 GPUs one each.
TEST(Memory, CacheIsSplitByKvHeadsAndNoFurther) {
  const LlmSpec llm = load_llm("mixtral-8x7b");
  const auto cache = [&](int32_t tensor_parallel) {
    return memory_use(llm, {.tensor_parallel = tensor_parallel, .cached_tokens = 1000}).cache;
  };
  EXPECT_EQ(cache(1), Bytes{131'072'000});
  EXPECT_EQ(cache(4), Bytes{131'072'000 / 4});
  EXPECT_EQ(cache(16), Bytes{131'072'000 / 8});
}

TEST(Memory, ALatentCacheIsOnEveryGpu) {
  const LlmSpec llm = load_llm("deepseek-v3");
  EXPECT_EQ(memory_use(llm, {.tensor_parallel = 8, .cached_tokens = 10}).cache, Bytes{10 * 61 * 1'152});
}

// 12 of 24 layers keep 128 tokens of each request, the others all 1,000; K and V are 2 x 8 x 64 x 2 bytes.
TEST(Memory, WindowsKeepLess) {
  const LlmSpec llm = load_llm("gpt-oss-20b");
  const MemoryShare share{.cached_tokens = 4000, .cached_requests = 4};
  EXPECT_EQ(memory_use(llm, share).cache, Bytes{4 * 12 * (128 + 1000) * 2048});
}

// A token's residual and norm, 2 x 2,048, and the larger of q, k, v and result, 4 x 2,048, and nothing; two bytes each.
// Then 100 copies in the experts: in and out 2 x 2,048, gate, up and product 3 x 1,024.
TEST(Memory, ActivationsAreTheLargestSetAliveAtOnce) {
  const LlmSpec llm = load_llm("olmoe-1b-7b");
  EXPECT_EQ(memory_use(llm, {.batch_tokens = 10}).activations, Bytes{10 * (2 + 4) * 2048 * 2});
  EXPECT_EQ(memory_use(llm, {.batch_tokens = 10, .expert_rows = 100}).activations,
            Bytes{(10 * 2 * 2048 + 100 * (2 * 2048 + 3 * 1024)) * 2});
}

TEST(Memory, IsDescribedByKindTheLargestFirst) {
  MemoryUse use;
  use.cache = Bytes{1 << 30};
  use.experts = Bytes{3ll << 29};
  EXPECT_EQ(describe(use), "weights of routed experts 1.50 GiB, keys and values 1.00 GiB");
}

}  // namespace
}  // namespace moesim
