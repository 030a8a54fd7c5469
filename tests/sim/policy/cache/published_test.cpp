// Caches of published systems, by their formulas.
#include <gtest/gtest.h>

#include "sim/config/reader.h"
#include "tests/support/cache_player.h"

namespace moesim {
namespace {

using Choice = PolicyChoice<CachePolicy>;
using Items = std::vector<ExpertItem>;

// A policy that is told of single events.
struct Told {
  Told(int32_t layers, int32_t experts, const char* json) {
    std::vector<Fault> faults;
    policy.read(parse_json(json, "a.json"), Place{}, faults);
    throw_if_any("a.json", faults);
    event.layers = layers;
    event.experts = experts;
    event.top_k = 1;
    one_part.assign(size_t(layers), 0);
    event.part_of_layer = one_part;
    event.places = 4;
    tell(CacheEventKind::begin);
  }

  ExpertItem tell(CacheEventKind kind, ExpertItem item = kNoItem) {
    event.kind = kind;
    event.item = item;
    return policy.step(state, event, rng);
  }
  void route(int32_t layer, const std::vector<float>& scores) {
    event.layer = layer;
    event.scores = scores;
    tell(CacheEventKind::route);
    event.scores = {};
  }
  void use(const Items& items) {
    for (const ExpertItem item : items) tell(CacheEventKind::access, item);
  }
  void load(const Items& items, bool prefetched = false) {
    event.prefetched = prefetched;
    for (const ExpertItem item : items) tell(CacheEventKind::load, item);
  }
  ExpertItem choose(const Items& candidates, const std::vector<float>& forecast = {}) {
    event.candidates = candidates;
    event.forecast = forecast;
    const ExpertItem victim = tell(CacheEventKind::choose, 0);
    event.candidates = {};
    event.forecast = {};
    return victim;
  }

  Choice policy;
  std::vector<int32_t> one_part;
  CacheEvent event;
  CacheState state;
  Rng rng{1};
};

// Two turns with alpha 1/2. TopP keeps two of three scores: S is 0.25, 0.15, 0 and then 0.125, 0.075 + 0.3, 0.15. If it
// keeps one, S is 0.25, 0, 0 and then 0.125, 0.3, 0.
TEST(Mrs, AveragesTheLargestScores) {
  for (const auto& [json, order] :
       {std::pair{R"("mrs")", Items{0, 2, 1}}, std::pair{R"({"policy": "mrs", "p": 1})", Items{2, 0, 1}}}) {
    Told mrs(2, 3, json);
    mrs.route(0, {0.5F, 0.3F, 0.2F});
    mrs.route(0, {0.1F, 0.6F, 0.3F});
    EXPECT_EQ(mrs.choose({0, 1, 2}), order[0]);
    EXPECT_EQ(mrs.choose({order[1], order[2]}), order[1]);
    EXPECT_EQ(mrs.choose({order[2], 3}), 3) << "the other layer has had no scores";
  }
}

// alpha 1 remembers the last scores alone; of two equal scores TopP keeps the lower expert.
TEST(Mrs, KeepsTheLowestOfEqualScores) {
  Told mrs(1, 3, R"({"policy": "mrs", "alpha": 1, "p": 1})");
  mrs.route(0, {0.9F, 0, 0});
  mrs.route(0, {0, 0.5F, 0.5F});
  EXPECT_EQ(mrs.choose({0, 1}), 0);
  EXPECT_EQ(mrs.choose({1, 2}), 2);
}

// Four layers of two experts, layer 1 runs. Layer 2 runs in 1 turn, 3 in 2, 0 in 3, and 1 itself in 4: with equal
// parts and uses the furthest leaves. Three uses more outweigh a decay of (1 - 4/5) / (1 - 3/5) = 1/2.
TEST(ActivationAware, LetsTheFurthestLeaveWhereAllElseIsEqual) {
  Told cache(4, 2, R"("activation_aware")");
  cache.event.layer = 1;
  EXPECT_EQ(cache.choose({0, 2, 4, 6}), 2);
  EXPECT_EQ(cache.choose({0, 4, 6}), 0);
  EXPECT_EQ(cache.choose({4, 6}), 6);
  cache.use({2, 2, 2});
  EXPECT_EQ(cache.choose({0, 2, 4, 6}), 0);
}

// Layer 0 runs. Parts: 4 has 3 of the 4 tokens of layer 2, 3 has 1 of the 5 of layer 1. Layer 1 decays by 1 - 1/5,
// layer 2 by 1 - 2/5: 0.2 x 0.8 is less than 0.75 x 0.6. Four uses of 3 make it 0.2 x 0.8 x 5, which is more.
TEST(ActivationAware, WeighsPredictedPartsDecayAndUses) {
  Told cache(4, 2, R"("activation_aware")");
  const std::vector<float> forecast = {0, 0, 4, 1, 3, 1, 0, 0};
  EXPECT_EQ(cache.choose({3, 4}, forecast), 3);
  cache.use({3, 3, 3, 3});
  EXPECT_EQ(cache.choose({3, 4}, forecast), 4);
}

// Parts 0.2 of 3 and 0.75 of 4, without a decay: 0.2 x 4 uses is more than 0.75, 0.2 x 3 is less.
TEST(FineGrained, LetsTheLargestInverseOfPartTimesUsesLeave) {
  Told cache(4, 2, R"("fine_grained")");
  const std::vector<float> forecast = {0, 0, 4, 1, 3, 1, 0, 0};
  cache.use({3, 3});
  EXPECT_EQ(cache.choose({3, 4}, forecast), 3);
  cache.use({3});
  EXPECT_EQ(cache.choose({3, 4}, forecast), 4);
}

// Layer 0 of four runs. (0 + 1) / 1 turn of 2; (1 + 1) / 3 of 6; (3 + 1) / 3 of 7.
TEST(Edge, LetsTheSeldomUsedAndFarLeave) {
  Told cache(4, 2, R"("edge")");
  cache.use({6, 7, 7, 7});
  EXPECT_EQ(cache.choose({2, 6, 7}), 6);
  EXPECT_EQ(cache.choose({2, 7}), 2);
}

// Layer 0 runs. Layers 1 and 2 are predicted to need 3 and 2 experts, so that four places are shared as 3 and 1: of
// two experts each, layer 2 has one too many, and the one with fewer tokens leaves.
TEST(Predictive, SharesPlacesByPredictedDemand) {
  Told cache(3, 4, R"("predictive")");
  cache.route(0, {1, 0, 0, 0});
  cache.load({4, 5, 8, 9});
  EXPECT_EQ(cache.choose({4, 5, 8, 9}, {0, 0, 0, 0, 1, 1, 1, 0, 3, 2, 0, 0}), 9);
}

// Layer 1 runs: layer 0 is done and gives its places up, before an expert that is not expected at all.
TEST(Predictive, LetsLayersThatAreDoneGiveUpTheirPlacesFirst) {
  Told cache(3, 4, R"("predictive")");
  cache.route(0, {1, 0, 0, 0});
  cache.load({0, 8, 9});
  cache.route(1, {1, 0, 0, 0});
  EXPECT_EQ(cache.choose({0, 8, 9}, {7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0}), 0);
}

// 4 and 5 are brought early for layer 1, which uses 4 alone. When layer 2 runs, 5 leaves first, though it is expected
// most.
TEST(Predictive, LetsWhatWasBroughtForNothingLeaveFirst) {
  Told cache(3, 4, R"("predictive")");
  cache.route(0, {1, 0, 0, 0});
  cache.load({4, 5}, true);
  cache.route(1, {1, 0, 0, 0});
  cache.use({4});
  cache.route(2, {1, 0, 0, 0});
  cache.load({8});
  const std::vector<float> forecast = {0, 0, 0, 0, 1, 9, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(cache.choose({4, 5, 8}, forecast), 5);
  EXPECT_EQ(cache.choose({4, 8}, forecast), 8) << "layer 2 runs in 3 turns, layer 1 in 2";
}

}  // namespace
}  // namespace moesim
