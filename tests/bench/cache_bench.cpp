// Policies of expert caches, as a run asks them: 48 layers of 128 experts, of which a quarter fit. Who leaves, of 1,536
// candidates of all layers or of 32 of one; and what a turn of a layer tells them: its scores and 32 accesses.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "sim/core/random.h"
#include "sim/moe/offload/cache.h"

namespace moesim {
namespace {

constexpr int32_t kLayers = 48;
constexpr int32_t kExperts = 128;
constexpr size_t kItems = size_t(kLayers) * size_t(kExperts);
constexpr int32_t kAccesses = 32;

// A cache in which every fourth expert lies, after some turns.
struct Cache {
  Cache(const std::string& name, CachePartition partition) : policy(name), scores(size_t(kExperts)) {
    for (size_t item = 0; item < kItems; ++item) {
      past.push_back(int64_t(rng.below(1000)));
      next_use.push_back(int64_t(rng.below(1000)));
      forecast.push_back(float(rng.below(8)));
    }
    event.layers = kLayers;
    event.experts = kExperts;
    event.top_k = 8;
    if (partition == CachePartition::global) event.part_of_layer = one_part;
    event.places = partition == CachePartition::layer ? kExperts / 4 : int64_t(kItems) / 4;
    event.past_load = past;
    tell(CacheEventKind::begin);
    for (size_t item = 0; item < kItems; item += 4) {
      here.push_back(ExpertItem(item));
      tell(CacheEventKind::load, ExpertItem(item));
    }
    for (int32_t turn = 0; turn < 10 * kLayers; ++turn) play_turn();
  }

  ExpertItem tell(CacheEventKind kind, ExpertItem item = kNoItem) {
    event.kind = kind;
    event.item = item;
    return policy.step(state, event, rng);
  }

  void play_turn() {
    event.layer = (event.layer + 1) % kLayers;
    for (float& score : scores) score = float(rng.uniform());
    event.scores = scores;
    tell(CacheEventKind::route);
    event.hit = true;
    for (int32_t i = 0; i < kAccesses; ++i)
      tell(CacheEventKind::access, event.layer * kExperts + 4 * int32_t(rng.below(kExperts / 4)));
  }

  PolicyChoice<CachePolicy> policy;
  std::vector<float> scores;
  std::vector<int32_t> one_part = std::vector<int32_t>(size_t(kLayers), 0);
  std::vector<int64_t> past;
  std::vector<int64_t> next_use;
  std::vector<float> forecast;
  std::vector<ExpertItem> here;
  CacheEvent event;
  CacheState state;
  Rng rng{1};
};

void choose(benchmark::State& state, const std::string& name, CachePartition partition) {
  Cache cache(name, partition);
  cache.event.candidates = cache.here;
  cache.event.forecast = cache.forecast;
  cache.event.next_use = cache.next_use;
  if (partition == CachePartition::layer) cache.event.candidates = cache.event.candidates.first(kExperts / 4);
  for (auto _ : state) benchmark::DoNotOptimize(cache.tell(CacheEventKind::choose, 1));
}

void turn(benchmark::State& state, const std::string& name) {
  Cache cache(name, CachePartition::global);
  for (auto _ : state) cache.play_turn();
}

[[maybe_unused]] const bool registered = [] {
  for (const std::string name : {"activation_aware", "arc", "edge", "fifo", "fine_grained", "lfu", "lifo", "lru",
                                 "lru_k", "mrs", "oracle", "popularity", "predictive", "random"}) {
    benchmark::RegisterBenchmark(("global/" + name).c_str(), choose, name, CachePartition::global);
    benchmark::RegisterBenchmark(("layer/" + name).c_str(), choose, name, CachePartition::layer);
    benchmark::RegisterBenchmark(("turn/" + name).c_str(), turn, name);
  }
  return true;
}();

}  // namespace
}  // namespace moesim
