#include "sim/moe/traffic.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "sim/core/random.h"

namespace moesim {
namespace {

struct Case {
  Layout layout;
  StepRouting routing;
  Placement placement;
};

// Random tokens, distinct experts a token, some choices dropped, one to three hosts an expert.
Case random_case(Rng& rng) {
  Case c;
  c.layout.ep = int32_t(rng.between(1, 6));
  c.layout.gpus = c.layout.ep * int32_t(rng.between(1, 3));
  c.layout.gpus_per_node = int32_t(rng.between(1, c.layout.gpus));
  c.routing.layers = 1;
  c.routing.experts = int32_t(rng.between(1, 20));
  c.routing.top_k = int32_t(rng.between(1, std::min(c.routing.experts, 4)));
  c.routing.first_token.push_back(0);
  for (int32_t gpu = 0; gpu < c.layout.gpus; ++gpu)
    c.routing.first_token.push_back(c.routing.first_token.back() + int64_t(rng.below(20)));
  c.routing.tokens = c.routing.first_token.back();
  std::vector<uint16_t> experts(size_t(c.routing.experts));
  std::iota(experts.begin(), experts.end(), uint16_t{0});
  for (int64_t token = 0; token < c.routing.tokens; ++token) {
    rng.shuffle(std::span(experts));
    for (int32_t k = 0; k < c.routing.top_k; ++k)
      c.routing.ids.push_back(rng.below(10) == 0 ? kNoExpert : experts[size_t(k)]);
  }
  c.placement.hosts.resize(1);
  for (int32_t expert = 0; expert < c.routing.experts; ++expert) {
    std::set<GpuId> hosts;
    for (uint64_t copies = 1 + rng.below(3); copies > 0; --copies)
      hosts.insert(GpuId(rng.below(uint64_t(c.layout.ep))));
    c.placement.hosts[0].emplace_back(hosts.begin(), hosts.end());
  }
  return c;
}

LayerTraffic whole(const Case& c, TokenCopies copies) {
  return layer_traffic(c.routing, c.placement, c.layout, copies, 0, 0, 1);
}

TEST(LayerTraffic, ComputesEveryChoiceOnceAndCountsTheRestAsDropped) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const Case c = random_case(rng);
    const LayerTraffic traffic = whole(c, TokenCopies::per_gpu);
    int64_t rows = 0;
    for (const auto& gpu : traffic.rows) rows = std::accumulate(gpu.begin(), gpu.end(), rows);
    EXPECT_EQ(rows, traffic.assignments);
    EXPECT_EQ(traffic.assignments + traffic.dropped, c.routing.tokens * c.routing.top_k);
  }
}

// One copy a token and GPU is never more than one an expert, which is one an assignment, and never less than one a
// token that is routed at all.
TEST(LayerTraffic, SendsAtMostOneCopyToAGpu) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const Case c = random_case(rng);
    const LayerTraffic one = whole(c, TokenCopies::per_gpu);
    const LayerTraffic each = whole(c, TokenCopies::per_expert);
    EXPECT_EQ(std::accumulate(each.copies.begin(), each.copies.end(), int64_t{0}), each.assignments);
    for (size_t pair = 0; pair < one.copies.size(); ++pair) EXPECT_LE(one.copies[pair], each.copies[pair]);
    for (int32_t from = 0; from < c.layout.gpus; ++from)
      for (int32_t to = 0; to < c.layout.gpus; ++to) {
        const int64_t held = c.routing.first_token[size_t(from) + 1] - c.routing.first_token[size_t(from)];
        EXPECT_LE(one.copies[size_t(from * c.layout.gpus + to)], held);
        if (c.layout.expert_group(GpuId{from}) != c.layout.expert_group(GpuId{to})) {
          EXPECT_EQ(one.copies[size_t(from * c.layout.gpus + to)], 0);
        }
      }
  }
}

// A copy for a server counts each token that has an expert there once; with one copy an expert nothing is in common.
TEST(LayerTraffic, SendsOneCopyOfEachTokenToAServer) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Case c = random_case(rng);
    for (auto& hosts : c.placement.hosts[0]) hosts.resize(1);  // so that a token's GPUs follow from its experts
    const LayerTraffic one = whole(c, TokenCopies::per_gpu);
    const LayerTraffic each = whole(c, TokenCopies::per_expert);
    const int32_t nodes = c.layout.nodes();
    for (int32_t from = 0; from < c.layout.gpus; ++from) {
      std::vector<int64_t> tokens(size_t(nodes), 0);
      std::vector<int64_t> copies(size_t(nodes), 0);
      for (int64_t token = c.routing.first_token[size_t(from)]; token < c.routing.first_token[size_t(from) + 1];
           ++token) {
        std::set<int32_t> reached;
        for (const uint16_t expert : c.routing.choices(0, token)) {
          if (expert == kNoExpert) continue;
          const int32_t host = int32_t(c.placement.hosts[0][expert][0]);
          const GpuId gpu = c.layout.gpu_of_expert_rank(c.layout.expert_group(GpuId{from}), host);
          reached.insert(int32_t(gpu) / c.layout.gpus_per_node);
          ++copies[size_t(int32_t(gpu) / c.layout.gpus_per_node)];
        }
        for (const int32_t node : reached) ++tokens[size_t(node)];
      }
      for (int32_t node = 0; node < nodes; ++node) {
        EXPECT_EQ(one.node_copies[size_t(from * nodes + node)], tokens[size_t(node)]);
        EXPECT_EQ(each.node_copies[size_t(from * nodes + node)], copies[size_t(node)]);
      }
    }
  }
}

TEST(LayerTraffic, PartsAddUpToTheWhole) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const Case c = random_case(rng);
    const LayerTraffic all = whole(c, TokenCopies::per_gpu);
    const int32_t parts = int32_t(rng.between(1, 7));
    std::vector<int64_t> copies(all.copies.size(), 0);
    std::vector<int64_t> node_copies(all.node_copies.size(), 0);
    for (int32_t part = 0; part < parts; ++part) {
      const LayerTraffic traffic =
          layer_traffic(c.routing, c.placement, c.layout, TokenCopies::per_gpu, 0, part, parts);
      for (size_t pair = 0; pair < copies.size(); ++pair) copies[pair] += traffic.copies[pair];
      for (size_t pair = 0; pair < node_copies.size(); ++pair) node_copies[pair] += traffic.node_copies[pair];
    }
    EXPECT_EQ(copies, all.copies);
    EXPECT_EQ(node_copies, all.node_copies);
  }
}

// Two GPUs, experts 0 and 1 on GPU 0, 2 and 3 on GPU 1, one token on GPU 0 that chooses 1, 2 and 3: it stays once and
// travels once, and GPU 1 computes two rows.
TEST(LayerTraffic, CountsAHandMadeCase) {
  Case c;
  c.layout = {.gpus = 2, .gpus_per_node = 2, .tp = 1, .ep = 2};
  c.routing = {.tokens = 1, .layers = 1, .experts = 4, .top_k = 3, .ids = {1, 2, 3}, .first_token = {0, 1, 1}};
  c.placement.hosts = {{{GpuId{0}}, {GpuId{0}}, {GpuId{1}}, {GpuId{1}}}};
  const LayerTraffic traffic = whole(c, TokenCopies::per_gpu);
  EXPECT_EQ(traffic.copies, (std::vector<int64_t>{1, 1, 0, 0}));
  EXPECT_EQ(traffic.node_copies, (std::vector<int64_t>{1, 0}));  // both GPUs are on one server
  EXPECT_EQ(traffic.rows, (std::vector<std::vector<int64_t>>{{0, 1}, {1, 1}}));
}

// A copy's part of an expert's tokens is met within one token by each dealing, whatever the shares are.
TEST(LayerTraffic, GivesEachCopyItsShareOfTheTokens) {
  Case c;
  c.layout = {.gpus = 3, .gpus_per_node = 3, .tp = 1, .ep = 3};
  c.routing = {.tokens = 100, .layers = 1, .experts = 2, .top_k = 1, .ids = {}, .first_token = {0, 50, 100, 100}};
  for (int32_t token = 0; token < 100; ++token) c.routing.ids.push_back(token % 10 == 0 ? 1 : 0);
  c.placement.hosts = {{{GpuId{0}, GpuId{1}, GpuId{2}}, {GpuId{0}}}};
  const LayerTraffic even = whole(c, TokenCopies::per_gpu);
  EXPECT_EQ(even.rows, (std::vector<std::vector<int64_t>>{{30, 10}, {30}, {30}}));

  // 100 tokens on three GPUs: level at 33.3, of which the second expert fills 10 on GPU 0.
  Rng rng(1);
  const PolicyChoice<ReplicaPolicy> choice("least_loaded");
  const LayerTraffic level =
      layer_traffic(c.routing, c.placement, c.layout, TokenCopies::per_gpu, 0, 0, 1, {choice, {}}, rng);
  EXPECT_NEAR(double(level.rows[0][0]), 23.3, 1);
  EXPECT_NEAR(double(level.rows[1][0]), 33.3, 1);
  EXPECT_NEAR(double(level.rows[2][0]), 33.3, 1);
}

// Nine tokens for an expert with two copies on one GPU and one on another: each of the three slots computes a third.
TEST(LayerTraffic, CountsASecondCopyOnAGpuAsASlotOfItsOwn) {
  Case c;
  c.layout = {.gpus = 2, .gpus_per_node = 2, .tp = 1, .ep = 2};
  c.routing = {.tokens = 9, .layers = 1, .experts = 1, .top_k = 1, .ids = {}, .first_token = {0, 9, 9}};
  c.routing.ids.assign(9, 0);
  c.placement.hosts = {{{GpuId{0}, GpuId{0}, GpuId{1}}}};
  const LayerTraffic traffic = whole(c, TokenCopies::per_gpu);
  EXPECT_EQ(traffic.rows, (std::vector<std::vector<int64_t>>{{3, 3}, {3}}));
  EXPECT_EQ(traffic.copies, (std::vector<int64_t>{6, 3, 0, 0}));
}

}  // namespace
}  // namespace moesim
