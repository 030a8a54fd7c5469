#include "sim/moe/offload/expert_level.h"

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"

namespace moesim {
namespace {

Bytes layer_bytes(const LevelShape& shape, int32_t layer) {
  const auto first = shape.item_bytes.begin() + int64_t{layer} * shape.experts;
  return std::accumulate(first, first + shape.experts, Bytes{});
}

Bytes largest_item(const LevelShape& shape) {
  return *std::max_element(shape.item_bytes.begin(), shape.item_bytes.end());
}

bool all_of_one_size(const LevelShape& shape) {
  const Bytes largest = largest_item(shape);
  return std::all_of(shape.item_bytes.begin(), shape.item_bytes.end(),
                     [&](Bytes bytes) { return bytes == largest || bytes == Bytes{}; });
}

}  // namespace

void divide_level(LevelShape& shape, Bytes capacity, CachePartition partition, int32_t whole_layers) {
  CHECK(int64_t(shape.item_bytes.size()) == int64_t{shape.layers} * shape.experts);
  shape.part_of_layer.clear();
  shape.part_bytes.clear();
  const Bytes unit = all_of_one_size(shape) ? std::max(largest_item(shape), Bytes{1}) : Bytes{1};
  for (int32_t layer = 0; layer < shape.layers; ++layer) {
    const bool whole = layer < whole_layers;
    if (!whole && partition == CachePartition::global) {
      if (layer == whole_layers) shape.part_bytes.push_back(capacity);
      shape.part_of_layer.push_back(int32_t(shape.part_bytes.size()) - 1);
      continue;
    }
    const int64_t share = capacity.count / (shape.layers - layer) / unit.count * unit.count;
    const Bytes all = layer_bytes(shape, layer);
    const Bytes bytes = whole ? std::min(all, capacity) : std::min(all, Bytes{share});
    shape.part_of_layer.push_back(int32_t(shape.part_bytes.size()));
    shape.part_bytes.push_back(bytes);
    capacity = capacity - bytes;
  }
}

ExpertLevel::ExpertLevel(LevelShape shape, PolicyChoice<CachePolicy> policy, Rng rng)
    : shape_(std::move(shape)), policy_(std::move(policy)), rng_(rng) {
  const size_t items = shape_.item_bytes.size();
  CHECK(shape_.past_load.size() == items);
  CHECK(shape_.part_of_layer.size() == size_t(shape_.layers));
  state_.assign(items, State::absent);
  taken_.assign(items, 0);
  was_present_.assign(items, 0);
  pins_.assign(items, 0);
  parts_.resize(shape_.part_bytes.size());
  unused_.assign(items, 0);
  largest_ = std::max(largest_item(shape_), Bytes{1});
  for (const int32_t part : shape_.part_of_layer)
    places_.push_back(shape_.part_bytes[size_t(part)].count / largest_.count);
  tell(event(CacheEventKind::begin, 0, kNoItem));
}

void ExpertLevel::fill_by_popularity() {
  std::vector<ExpertItem> popular(shape_.item_bytes.size());
  std::iota(popular.begin(), popular.end(), 0);
  std::stable_sort(popular.begin(), popular.end(), [&](ExpertItem a, ExpertItem b) {
    return shape_.past_load[size_t(a)] > shape_.past_load[size_t(b)];
  });
  std::vector<ExpertItem> taken;
  for (const ExpertItem item : popular) {
    const Bytes bytes = shape_.item_bytes[size_t(item)];
    if (bytes == Bytes{} || part_of(item).used + bytes > shape_.part_bytes[size_t(part_index(item))]) continue;
    part_of(item).used += bytes;
    taken.push_back(item);
  }
  for (Part& part : parts_) part.used = {};
  // The least popular first, so that those used last are the most popular.
  for (auto item = taken.rbegin(); item != taken.rend(); ++item) {
    CHECK(reserve(*item, false, 0, {}));
    arrived(*item);
  }
}

void ExpertLevel::route(int32_t layer, std::span<const float> scores) {
  CacheEvent routed = event(CacheEventKind::route, layer, kNoItem);
  routed.scores = scores;
  tell(routed);
}

void ExpertLevel::access(ExpertItem item, int32_t layer) {
  CacheEvent accessed = event(CacheEventKind::access, layer, item);
  accessed.hit = present(item);
  unused_[size_t(item)] = 0;
  tell(accessed);
}

void ExpertLevel::unpin(ExpertItem item) {
  CHECK(pins_[size_t(item)] > 0);
  --pins_[size_t(item)];
}

bool ExpertLevel::reserve(ExpertItem item, bool prefetched, int32_t layer, const Sight& sight) {
  CHECK(state_[size_t(item)] == State::absent);
  Part& part = part_of(item);
  const Bytes bytes = shape_.item_bytes[size_t(item)];
  const Bytes room = shape_.part_bytes[size_t(part_index(item))];
  if (part.used + bytes > room + may_leave(part)) return false;  // nobody leaves for nothing
  while (part.used + bytes > room) evict_one(item, layer, sight);
  part.used += bytes;
  used_ += bytes;
  CHECK(part.used <= room);
  state_[size_t(item)] = State::reserved;
  taken_[size_t(item)] = 1;
  CacheEvent loaded = event(CacheEventKind::load, layer, item);
  loaded.prefetched = prefetched;
  unused_[size_t(item)] = prefetched ? 1 : 0;
  tell(loaded);
  return true;
}

void ExpertLevel::arrived(ExpertItem item) {
  CHECK(state_[size_t(item)] == State::reserved);
  state_[size_t(item)] = State::present;
  was_present_[size_t(item)] = 1;
  std::vector<ExpertItem>& here = part_of(item).present;
  here.insert(std::lower_bound(here.begin(), here.end(), item), item);
}

Bytes ExpertLevel::unused_prefetches() const {
  Bytes unused = unused_left_;
  for (size_t item = 0; item < unused_.size(); ++item)
    if (unused_[item] != 0) unused += shape_.item_bytes[item];
  return unused;
}

Bytes ExpertLevel::capacity() const {
  return std::accumulate(shape_.part_bytes.begin(), shape_.part_bytes.end(), Bytes{});
}

int32_t ExpertLevel::part_index(ExpertItem item) const { return shape_.part_of_layer[size_t(item / shape_.experts)]; }

CacheEvent ExpertLevel::event(CacheEventKind kind, int32_t layer, ExpertItem item) const {
  CacheEvent event;
  event.kind = kind;
  event.layers = shape_.layers;
  event.experts = shape_.experts;
  event.top_k = shape_.top_k;
  event.layer = layer;
  event.item = item;
  event.places = places_[size_t(item == kNoItem ? layer : item / shape_.experts)];
  event.part_of_layer = shape_.part_of_layer;
  event.past_load = shape_.past_load;
  event.part_of_layer = shape_.part_of_layer;
  return event;
}

Bytes ExpertLevel::may_leave(const Part& part) const {
  Bytes bytes;
  for (const ExpertItem item : part.present)
    if (pins_[size_t(item)] == 0) bytes += shape_.item_bytes[size_t(item)];
  return bytes;
}

void ExpertLevel::evict_one(ExpertItem for_item, int32_t layer, const Sight& sight) {
  candidates_.clear();
  for (const ExpertItem item : part_of(for_item).present)
    if (pins_[size_t(item)] == 0) candidates_.push_back(item);
  CHECK(!candidates_.empty());
  CacheEvent choice = event(CacheEventKind::choose, layer, for_item);
  choice.candidates = candidates_;
  choice.next_use = sight.next_use;
  choice.forecast = sight.forecast;
  const ExpertItem leaves = policy_.step(cache_, choice, rng_);
  CHECK(std::binary_search(candidates_.begin(), candidates_.end(), leaves));
  evict(leaves, layer);
}

void ExpertLevel::evict(ExpertItem item, int32_t layer) {
  Part& part = part_of(item);
  part.present.erase(std::lower_bound(part.present.begin(), part.present.end(), item));
  const Bytes bytes = shape_.item_bytes[size_t(item)];
  part.used = part.used - bytes;
  used_ = used_ - bytes;
  state_[size_t(item)] = State::absent;
  taken_[size_t(item)] = 0;
  if (unused_[size_t(item)] != 0) unused_left_ += bytes;
  unused_[size_t(item)] = 0;
  ++evictions_;
  tell(event(CacheEventKind::evict, layer, item));
}

}  // namespace moesim
