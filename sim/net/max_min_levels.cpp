// Works off the links whose flows or whose sums have changed, by rising level, until none is left.
#include <algorithm>

#include "sim/core/check.h"
#include "sim/net/max_min.h"

namespace moesim {
namespace {

constexpr int64_t kMarked = std::numeric_limits<int64_t>::max();      // of Load::mark_above: nothing more to mark
constexpr int64_t kMarkAlways = std::numeric_limits<int64_t>::min();  // flows hang here: any change counts

// Changes of a level by less than this part of it, 1e-12, are not passed on. The sums stay exact for the levels that
// were passed on, so that nothing adds up.
constexpr int kToleranceShift = 40;

// A solve starts from the ground when it has taken more steps than this: additions, or flows looked at in a row. From
// the ground a hop takes about as long as 50 of them, so that no solve takes more than about twice as long as that.
constexpr size_t kStepsPerHop = 32;
constexpr size_t kStepsMin = 4096;

// A rate counts as above a level if it is so by more than the tolerance and by what rounding to whole units can do.
constexpr int64_t just_above(int64_t level) { return level + (level >> kToleranceShift) + 2 * int64_t(level > 0); }

// Sums beyond this are a solve gone astray.
constexpr int64_t kSumMax = int64_t{1} << 61;

}  // namespace

// The level at which the link would be full, or at which it has no room.
int64_t MaxMin::level_wanted(int32_t link) const {
  const Load& load = loads_[size_t(link)];
  const auto hung = int64_t(clocks_[size_t(link)].hung.size());
  const int64_t capacity = clocks_[size_t(link)].capacity;
  const int64_t room = capacity - load.others;
  if (hung == 0) return room >= 0 ? kUnlimited : 0;
  return std::max(room / hung, int64_t(capacity > 0));
}

void MaxMin::mark(int32_t link) {
  if (loads_[size_t(link)].mark_above == kMarked) return;
  loads_[size_t(link)].mark_above = kMarked;
  marked_.push_back(link);
}

void MaxMin::unmark(int32_t link) {
  loads_[size_t(link)].mark_above = clocks_[size_t(link)].hung.empty() ? clocks_[size_t(link)].capacity : kMarkAlways;
}

void MaxMin::enqueue_marked() {
  for (const int32_t link : marked_) queue_.push(link, LevelQueue::bucket_of(level_wanted(link)));
  marked_.clear();
}

// Returns whether it came to an end within its bound.
bool MaxMin::level_links(Time now) {
  const size_t work_max = std::min(work_max_, kStepsMin + kStepsPerHop * (live_hops_ + used_.size()));
  for (enqueue_marked(); !queue_.empty(); enqueue_marked()) {
    if (work_ > work_max) return false;
    ++work_;
    const uint32_t bucket = queue_.lowest_bucket();
    const int32_t link = queue_.pop(bucket);
    if (loads_[size_t(link)].others < 0 || loads_[size_t(link)].others > kSumMax) {
      marked_.push_back(link);
      return false;
    }
    const uint32_t bucket_now = LevelQueue::bucket_of(level_wanted(link));
    if (bucket_now > bucket)  // others have left it some of their room since
      queue_.push(link, bucket_now);
    else
      level_off(link, now);
  }
  return true;
}

void MaxMin::level_off(int32_t link, Time now) {
  const Load& load = loads_[size_t(link)];
  if (watched_[size_t(link)] && load.others > clocks_[size_t(link)].capacity) neighbour_again(link);
  const int64_t level = level_wanted(link);
  const int64_t level_now = load.level;
  if (level == kUnlimited) {
    if (level_now != kUnlimited) touch(link);
    loads_[size_t(link)].level = kUnlimited;
    return unmark(link);
  }
  // Where flows have moved, the link is looked at again: for what rounding does, and for what has changed on the way.
  if (load.fastest > just_above(level) && take_over(link, level, now)) return marked_.push_back(link);
  if (std::abs(level - level_now) > (level_now >> kToleranceShift) + 1) set_level(link, level, now);
  unmark(link);
}

void MaxMin::set_level(int32_t link, int64_t level, Time now) {
  Clock& clock = clocks_[size_t(link)];
  advance(clock, now);
  touch(link);
  const int64_t change = level - loads_[size_t(link)].level;
  loads_[size_t(link)].level = level;
  clock.level = double(level) * unit_;
  const std::span<const NeighbourCounts::Neighbour> neighbours = neighbours_.of(link);
  work_ += neighbours.size();
  for (const auto [neighbour, flows] : neighbours) {
    Load& load = loads_[size_t(neighbour)];
    load.others += change * flows;
    load.fastest = std::max(load.fastest, level);
    if (load.others > load.mark_above) mark(neighbour);
  }
  publish(link);
}

// Collects in `faster_` the flows that hang elsewhere with a rate above that level. Returns the fastest rate of the
// rest of them.
int64_t MaxMin::gather_faster(int32_t link, int64_t level) {
  faster_.clear();
  int64_t fastest_of_rest = 0;
  work_ += crossing_[size_t(link)].size();
  for (const Crossing& crossing : crossing_[size_t(link)]) {
    // Without a branch on where the flow hangs, which would be mispredicted half the time.
    const int64_t rate = loads_[size_t(crossing.bottleneck)].level & -int64_t(crossing.bottleneck != link);
    if (rate > level)
      faster_.push_back({rate, crossing.flow});
    else
      fastest_of_rest = std::max(fastest_of_rest, rate);
  }
  return fastest_of_rest;
}

// Takes over the flows that are faster than the level of the link would be: the fastest first, since each makes room
// for the rest and the level rises. Returns whether there were any.
bool MaxMin::take_over(int32_t link, int64_t level, Time now) {
  Load& load = loads_[size_t(link)];
  const int64_t capacity = clocks_[size_t(link)].capacity;
  auto hung = int64_t(clocks_[size_t(link)].hung.size());
  int64_t fastest = gather_faster(link, just_above(level));
  // A heap: mostly few of them are taken.
  const auto slower = [](const Candidate& a, const Candidate& b) {
    return a.rate != b.rate ? a.rate < b.rate : a.flow > b.flow;
  };
  std::make_heap(faster_.begin(), faster_.end(), slower);
  auto rest_end = faster_.end();  // behind it are those that are taken
  int64_t others = load.others;
  while (rest_end != faster_.begin() && (hung == 0 || faster_.front().rate > just_above(level))) {
    others -= faster_.front().rate;
    level = std::max((capacity - others) / ++hung, int64_t(capacity > 0));
    std::pop_heap(faster_.begin(), rest_end--, slower);
  }
  if (rest_end != faster_.begin()) fastest = faster_.front().rate;
  faster_.erase(faster_.begin(), rest_end);
  if (!faster_.empty() && level != load.level) set_level(link, level, now);
  for (const Candidate& candidate : faster_) move(candidate.flow, link, now);
  load.fastest = fastest;
  return !faster_.empty();
}

// Hangs a flow on another link of its path. What is left of it is the same on both clocks.
void MaxMin::move(size_t flow, int32_t to, Time now) {
  const int32_t from = bottleneck_[flow];
  Clock& clock_from = clocks_[size_t(from)];
  Clock& clock_to = clocks_[size_t(to)];
  advance(clock_from, now);
  advance(clock_to, now);
  touch(from);
  touch(to);
  const double bytes = std::max(0.0, clock_from.hung[heap_place_[flow]].finish - clock_from.served);
  clock_from.hung.erase(heap_place_[flow], heap_place_);
  clock_to.hung.push({clock_to.served + bytes, FlowId(flow)}, heap_place_);
  bottleneck_[flow] = to;
  work_ += 4 * size_t{hops_[flow]};
  const int64_t rate_from = loads_[size_t(from)].level;
  const int64_t rate_to = loads_[size_t(to)].level;
  for (size_t hop = 0; hop < hops_[flow]; ++hop) {
    const int32_t link = crossed_of(flow)[hop];
    crossing_[size_t(link)][place_[flow * hops_max_ + hop]].bottleneck = to;
    Load& load = loads_[size_t(link)];
    if (watched_[size_t(link)]) {
      load.others += clocks_[size_t(to)].published - clocks_[size_t(from)].published;
    } else {
      if (link != from) {
        load.others -= rate_from;
        neighbours_.remove(from, link);
      }
      if (link != to) {
        load.others += rate_to;
        load.fastest = std::max(load.fastest, rate_to);
        neighbours_.add(to, link);
      }
    }
    if (load.others > load.mark_above) mark(link);
  }
}

}  // namespace moesim
