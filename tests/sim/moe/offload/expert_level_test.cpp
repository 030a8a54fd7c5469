#include "sim/moe/offload/expert_level.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <numeric>

#include "tests/support/random_network.h"

namespace moesim {
namespace {

LevelShape random_shape(Rng& rng) {
  LevelShape shape{.layers = int32_t(rng.between(1, 4)), .experts = int32_t(rng.between(2, 10)), .top_k = 2};
  const bool equal = rng.below(2) == 0;
  for (int32_t item = 0; item < shape.layers * shape.experts; ++item) {
    shape.item_bytes.push_back(Bytes{equal ? 100 : rng.between(0, 4) * 50});
    shape.past_load.push_back(rng.between(0, 9));
  }
  return shape;
}

int32_t draw_whole_layers(Rng& rng, const LevelShape& shape) {
  return rng.below(2) == 0 ? 0 : int32_t(rng.between(0, shape.layers));
}

// Plays a level as a GPU does, and checks after each operation that it has no more bytes than fit.
class LevelPlayer {
 public:
  LevelPlayer(const LevelShape& shape, const std::string& policy, uint64_t seed)
      : level_(shape, PolicyChoice<CachePolicy>(policy), Rng(seed)), next_use_(shape.item_bytes.size()) {}

  void play(Rng& rng, int32_t operations) {
    if (rng.below(2) == 0) level_.fill_by_popularity();
    expect_within();
    for (int32_t i = 0; i < operations && !testing::Test::HasFailure(); ++i) {
      operate(rng);
      expect_within();
    }
  }

 private:
  void operate(Rng& rng) {
    const auto item = ExpertItem(rng.below(next_use_.size()));
    const int32_t layer = item / level_.shape().experts;
    switch (rng.below(6)) {
      case 0:
        scores_.assign(size_t(level_.shape().experts), 0.25F);
        return level_.route(layer, scores_);
      case 1:
        level_.access(item, layer);
        level_.pin(item);
        return pinned_.push_back(item);
      case 2:
        if (pinned_.empty()) return;
        level_.unpin(pinned_.front());
        return pinned_.pop_front();
      case 3:
        if (arriving_.empty()) return;
        level_.arrived(arriving_.front());
        EXPECT_TRUE(level_.present(arriving_.front()));
        return arriving_.pop_front();
      default:
        return reserve(rng, item, layer);
    }
  }

  void reserve(Rng& rng, ExpertItem item, int32_t layer) {
    if (level_.present(item) || level_.reserved(item) || level_.shape().item_bytes[size_t(item)] == Bytes{}) return;
    for (int64_t& use : next_use_) use = rng.between(0, 50);
    const std::vector<uint8_t> before(level_.taken().begin(), level_.taken().end());
    const int64_t evictions = level_.evictions();
    const bool here = level_.reserve(item, rng.below(2) == 0, layer, {.next_use = next_use_, .forecast = {}});
    EXPECT_EQ(level_.reserved(item), here);
    if (here) arriving_.push_back(item);
    if (!here) {
      EXPECT_EQ(level_.evictions(), evictions);  // nobody leaves for nothing
    }
    for (const ExpertItem kept : pinned_) EXPECT_GE(level_.taken()[size_t(kept)], before[size_t(kept)]);
  }

  void expect_within() const {
    const LevelShape& shape = level_.shape();
    std::vector<Bytes> used(shape.part_bytes.size());
    Bytes all;
    for (size_t item = 0; item < next_use_.size(); ++item) {
      if (level_.taken()[item] == 0) continue;
      used[size_t(shape.part_of_layer[item / size_t(shape.experts)])] += shape.item_bytes[item];
      all += shape.item_bytes[item];
    }
    for (size_t part = 0; part < used.size(); ++part) EXPECT_LE(used[part], shape.part_bytes[part]);
    EXPECT_EQ(level_.used(), all);
    EXPECT_LE(level_.used(), level_.capacity());
  }

  ExpertLevel level_;
  std::vector<float> scores_;
  std::vector<int64_t> next_use_;
  std::deque<ExpertItem> pinned_;
  std::deque<ExpertItem> arriving_;
};

TEST(ExpertLevel, NeverHoldsMoreThanItsBytesWhateverThePolicy) {
  for (const auto& entry : Registry<CachePolicy>::instance().entries())
    for (const CachePartition partition : {CachePartition::layer, CachePartition::global}) {
      SCOPED_TRACE(entry.name);
      for_each_seed(60, [&](Rng& rng) {
        LevelShape shape = random_shape(rng);
        const Bytes all = std::accumulate(shape.item_bytes.begin(), shape.item_bytes.end(), Bytes{});
        const Bytes capacity{rng.below(8) == 0 ? 0 : rng.between(0, all.count)};
        divide_level(shape, capacity, partition, draw_whole_layers(rng, shape));
        LevelPlayer(shape, entry.name, rng.next()).play(rng, 200);
      });
    }
}

TEST(DivideLevel, GivesOutNoMoreThanThereIs) {
  for (const CachePartition partition : {CachePartition::layer, CachePartition::global})
    for_each_seed(300, [&](Rng& rng) {
      LevelShape shape = random_shape(rng);
      const Bytes capacity{rng.between(0, 4000)};
      divide_level(shape, capacity, partition, draw_whole_layers(rng, shape));
      EXPECT_LE(std::accumulate(shape.part_bytes.begin(), shape.part_bytes.end(), Bytes{}), capacity);
      ASSERT_EQ(shape.part_of_layer.size(), size_t(shape.layers));
      EXPECT_EQ(size_t(shape.part_of_layer.back() + 1), shape.part_bytes.size());
      EXPECT_TRUE(std::is_sorted(shape.part_of_layer.begin(), shape.part_of_layer.end()));
    });
}

// Three layers of 4 experts of 100 B, 1,000 B, the first layer whole: 400 B for it, 600 B for the others, 300 B each.
TEST(DivideLevel, SharesWhatWholeLayersLeave) {
  LevelShape shape{.layers = 3, .experts = 4};
  shape.item_bytes.assign(12, 100_B);
  divide_level(shape, 1000_B, CachePartition::layer, 1);
  EXPECT_EQ(shape.part_bytes, (std::vector<Bytes>{400_B, 300_B, 300_B}));
  divide_level(shape, 1000_B, CachePartition::global, 1);
  EXPECT_EQ(shape.part_bytes, (std::vector<Bytes>{400_B, 600_B}));
  EXPECT_EQ(shape.part_of_layer, (std::vector<int32_t>{0, 1, 1}));
}

// The layers of a part are told to policies: what a global cache keeps of one layer, another may have.
TEST(ExpertLevel, OfOnePartKeepsWhatAnyLayerUsedLast) {
  for (const char* policy : {"lru", "arc", "fifo"}) {
    LevelShape shape{.layers = 2, .experts = 2, .top_k = 1};
    shape.item_bytes.assign(4, 100_B);
    shape.past_load.assign(4, 1);
    divide_level(shape, 200_B, CachePartition::global, 0);
    ExpertLevel level(shape, PolicyChoice<CachePolicy>(policy), Rng(1));
    for (const ExpertItem item : {0, 2, 3}) {  // of layers 0, 1, 1: the first is the oldest
      level.access(item, item / 2);
      ASSERT_TRUE(level.reserve(item, false, item / 2, {}));
      level.arrived(item);
    }
    EXPECT_FALSE(level.present(0)) << policy;
    EXPECT_TRUE(level.present(2)) << policy;
    EXPECT_TRUE(level.present(3)) << policy;
  }
}

}  // namespace
}  // namespace moesim
