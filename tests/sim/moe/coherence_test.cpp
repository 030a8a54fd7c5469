#include "sim/moe/coherence.h"

#include <gtest/gtest.h>

#include <numeric>

#include "sim/core/random.h"
#include "sim/moe/traffic.h"

namespace moesim {
namespace {

// Two GPUs with experts 0, 1 and 2, 3; two decoding requests a GPU; top-1.
struct Case {
  Layout layout{.gpus = 2, .gpus_per_node = 2, .tp = 1, .ep = 2};
  Batch batch{{{{1, 10}, {1, 20}}, {{1, 30}, {1, 40}}}};
  Placement placement{};
  StepRouting routing{};
};

Case chain(std::vector<uint16_t> ids, int32_t layers) {
  Case c;
  c.placement.hosts.assign(size_t(layers), {{GpuId(0)}, {GpuId(0)}, {GpuId(1)}, {GpuId(1)}});
  c.routing = {
      .tokens = 4, .layers = layers, .experts = 4, .top_k = 1, .ids = std::move(ids), .first_token = {0, 2, 4}};
  return c;
}

LayerTraffic traffic_of(const Case& c, const CoherentStep& step, int32_t layer) {
  const PolicyChoice<ReplicaPolicy> even("even");
  Rng rng(1);
  return layer_traffic(step.routing, c.placement, c.layout, TokenCopies::per_gpu, layer, 0, 1,
                       {even, {}, step.next_gpu[size_t(layer)]}, rng);
}

// All tokens but the third change their GPU in the first layer. In the second they stay, as experts 0 and 1 follow each
// other, and 2 and 3; then nothing travels. With one expert a token nothing is ever combined.
TEST(CoherentStep, LeavesTokensWhereTheirExpertIs) {
  const Case c = chain({2, 3, 2, 0, 3, 2, 3, 1}, 2);
  const CoherentStep step = coherent_step(c.routing, c.batch, c.placement, c.layout);
  const LayerTraffic first = traffic_of(c, step, 0);
  EXPECT_EQ(first.copies, (std::vector<int64_t>{0, 2, 1, 1}));
  EXPECT_EQ(first.combine_copies, (std::vector<int64_t>{1, 0, 0, 3}));
  const LayerTraffic second = traffic_of(c, step, 1);
  EXPECT_EQ(second.copies, (std::vector<int64_t>{1, 0, 0, 3}));
  EXPECT_EQ(second.combine_copies, (std::vector<int64_t>{1, 0, 0, 3}));
  EXPECT_EQ(step.routing.first_in_layer, (std::vector<std::vector<int64_t>>{{0, 2, 4}, {0, 1, 4}}));
}

TEST(CoherentStep, TakesTheContextOfEachTokenAlong) {
  const Case c = chain({2, 3, 2, 0, 3, 2, 3, 1}, 2);
  const CoherentStep step = coherent_step(c.routing, c.batch, c.placement, c.layout);
  ASSERT_EQ(step.batch_in_layer[1].ranks[0].size(), 1u);
  EXPECT_EQ(step.batch_in_layer[1].ranks[0][0].context, 40);
  EXPECT_EQ(new_tokens(step.batch_in_layer[1]), 4);
}

TEST(CoherentStep, ComputesTheSamePairs) {
  const Case c = chain({2, 3, 2, 0, 3, 2, 3, 1, 0, 0, 3, 2}, 3);
  const CoherentStep step = coherent_step(c.routing, c.batch, c.placement, c.layout);
  for (int32_t layer = 0; layer < 3; ++layer)
    EXPECT_EQ(traffic_of(c, step, layer).rows,
              layer_traffic(c.routing, c.placement, c.layout, TokenCopies::per_gpu, layer, 0, 1).rows);
}

}  // namespace
}  // namespace moesim
