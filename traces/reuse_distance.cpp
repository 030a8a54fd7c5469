#include "traces/reuse_distance.h"

#include <algorithm>
#include <bit>

namespace moesim {
namespace {

HitRates hit_rates(std::span<const int64_t> at_distance, int64_t accesses) {
  HitRates rates;
  int64_t hits = 0;
  for (const int64_t count : at_distance.subspan(1)) {
    hits += count;
    rates.push_back(accesses == 0 ? 0 : double(hits) / double(accesses));
  }
  return rates;
}

}  // namespace

ReuseDistances::ReuseDistances(int64_t objects) : time_of_(size_t(objects), 0) {
  const size_t times = std::bit_ceil(std::max<size_t>(64, 4 * size_t(objects)));
  tree_.assign(times + 1, 0);
  object_plus_.assign(times + 1, 0);
}

void ReuseDistances::add(uint32_t time, int32_t change) {
  for (; time < tree_.size(); time += time & (0 - time)) tree_[time] += change;
}

int32_t ReuseDistances::last_accesses_until(uint32_t time) const {
  int32_t sum = 0;
  for (; time > 0; time &= time - 1) sum += tree_[time];
  return sum;
}

// Keeps the order of the last accesses, and gives them the first times.
void ReuseDistances::renumber() {
  uint32_t kept = 0;
  for (size_t time = 1; time < object_plus_.size(); ++time) {
    const uint32_t object_plus = object_plus_[time];
    if (object_plus == 0) continue;
    object_plus_[time] = 0;
    object_plus_[++kept] = object_plus;
    time_of_[object_plus - 1] = kept;
  }
  now_ = kept;
  for (uint32_t time = 1; time < tree_.size(); ++time) tree_[time] = time <= kept ? 1 : 0;
  for (uint32_t time = 1; time < tree_.size(); ++time)
    if (const uint32_t above = time + (time & (0 - time)); above < tree_.size()) tree_[above] += tree_[time];
}

int64_t ReuseDistances::access(int64_t object) {
  if (now_ + 1 == tree_.size()) renumber();
  const uint32_t last = time_of_[size_t(object)];
  int64_t distance = 0;
  if (last == 0) {
    ++seen_;
  } else {
    distance = seen_ - last_accesses_until(last) + 1;
    add(last, -1);
    object_plus_[last] = 0;
  }
  add(++now_, 1);
  time_of_[size_t(object)] = now_;
  object_plus_[now_] = uint32_t(object) + 1;
  return distance;
}

std::vector<HitRates> lru_hit_rates_by_layer(const RoutingTrace& trace) {
  std::vector<HitRates> rates;
  for (int64_t layer = 0; layer < trace.layers; ++layer) {
    ReuseDistances distances(trace.experts);
    std::vector<int64_t> at_distance(size_t(trace.experts) + 1, 0);
    int64_t accesses = 0;
    for (int64_t token = 0; token < trace.tokens; ++token)
      for (const uint16_t expert : choices(trace, token, layer)) {
        if (expert == kDropped) continue;
        ++at_distance[size_t(distances.access(expert))];
        ++accesses;
      }
    rates.push_back(hit_rates(at_distance, accesses));
  }
  return rates;
}

HitRates lru_hit_rates(const RoutingTrace& trace) {
  const int64_t objects = trace.layers * trace.experts;
  ReuseDistances distances(objects);
  std::vector<int64_t> at_distance(size_t(objects) + 1, 0);
  int64_t accesses = 0;
  for (int64_t token = 0; token < trace.tokens; ++token)
    for (int64_t layer = 0; layer < trace.layers; ++layer)
      for (const uint16_t expert : choices(trace, token, layer)) {
        if (expert == kDropped) continue;
        ++at_distance[size_t(distances.access(layer * trace.experts + expert))];
        ++accesses;
      }
  return hit_rates(at_distance, accesses);
}

}  // namespace moesim
