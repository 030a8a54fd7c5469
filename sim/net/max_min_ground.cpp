// All rates from the ground: water rises in all links at once. The link with the least room for each of its open flows
// fills first; they hang on it from then on and leave the other links their room, and the water rises on.
#include <algorithm>

#include "sim/core/check.h"
#include "sim/net/max_min.h"

namespace moesim {

void MaxMin::solve_from_ground(Time now) {
  ++full_solves_;
  clear_links(now);
  for (const Fresh& fresh : fresh_)
    for (const int32_t link : path_of(fresh.flow)) ++open_[size_t(link)];
  for (size_t i = 0; i < fresh_.size(); ++i) {
    bottleneck_[fresh_[i].flow] = kNoLink;
    cross(fresh_[i].flow);
    heap_place_[fresh_[i].flow] = uint32_t(i);  // where its bytes stand until it hangs
  }
  fill_links(now);
  fresh_.clear();
  if (fresh_.capacity() > size_t{1} << 16) fresh_.shrink_to_fit();
  count_neighbours();
  from_ground_ = false;
}

// Takes all flows off their links and adds them to those that are to be hung.
void MaxMin::clear_links(Time now) {
  fresh_.reserve(live_);
  while (!queue_.empty()) marked_.push_back(queue_.pop(queue_.lowest_bucket()));
  marked_.insert(marked_.end(), used_.begin(), used_.end());
  for (const int32_t link : marked_) {
    Clock& clock = clocks_[size_t(link)];
    advance(clock, now);
    for (const FinishHeap::Hung& hung : clock.hung.entries())
      fresh_.push_back({uint32_t(hung.flow), std::max(0.0, hung.finish - clock.served)});
    clock.hung.clear();
    clock.served = 0;
    crossing_[size_t(link)].clear();
    neighbours_.clear(link);
    Load& load = loads_[size_t(link)];
    load.others = 0;
    load.fastest = 0;
    loads_[size_t(link)].level = kUnlimited;
    watched_[size_t(link)] = false;
    touch(link);
    unmark(link);
  }
  marked_.clear();
  used_.clear();
  watches_ = 0;
  CHECK(fresh_.size() == live_);
}

void MaxMin::fill_links(Time now) {
  fills_next_.clear();
  for (const int32_t link : used_) {
    const int64_t share = clocks_[size_t(link)].capacity / open_[size_t(link)];  // whole units
    fills_next_.add(uint32_t(link), double(share));
  }
  fills_next_.begin();
  size_t steps_left = 2 * (used_.size() + live_hops_) + 1;  // each fills a link, or finds a share that has grown
  for (size_t left = live_; left > 0;) {
    CHECK(steps_left-- > 0);
    const auto [share_seen, link, seat] = fills_next_.winner();
    CHECK(share_seen < Tournament::kOut);
    const int64_t open = open_[link];
    const int64_t whole = open > 0 ? (clocks_[link].capacity - loads_[link].others) / open : 0;
    const double share = open > 0 ? double(whole) : Tournament::kOut;
    if (share > share_seen) {  // others have left it some of their room, or taken all its flows
      fills_next_.set_key(seat, share);
      continue;
    }
    fill(int32_t(link), now);
    left -= size_t(open);
    fills_next_.set_key(seat, Tournament::kOut);
  }
}

void MaxMin::fill(int32_t link, Time now) {
  Clock& clock = clocks_[size_t(link)];
  const int64_t share = (clock.capacity - loads_[size_t(link)].others) / open_[size_t(link)];
  const int64_t level = std::max(share, int64_t(clock.capacity > 0));
  clock.hung.reserve(size_t(open_[size_t(link)]));
  set_level(link, level, now);  // before anything hangs on its clock; it has no neighbours yet that would be told
  for (const Crossing& crossing : crossing_[size_t(link)]) {
    const uint32_t flow = crossing.flow;
    if (bottleneck_[flow] != kNoLink) continue;
    bottleneck_[flow] = link;
    clock.hung.append({fresh_[heap_place_[flow]].bytes, FlowId(flow)});
    for (size_t hop = 0; hop < hops_[flow]; ++hop) {
      const int32_t crossed = crossed_of(flow)[hop];
      crossing_[size_t(crossed)][place_[flow * hops_max_ + hop]].bottleneck = link;
      --open_[size_t(crossed)];
      if (crossed == link) continue;
      loads_[size_t(crossed)].others += level;
      loads_[size_t(crossed)].fastest = std::max(loads_[size_t(crossed)].fastest, level);
    }
  }
  CHECK(open_[size_t(link)] == 0);
  clock.hung.heapify(heap_place_);
  unmark(link);
}

void MaxMin::count_neighbours() {
  for (const int32_t link : used_) watch(link);
  for (const int32_t link : used_)
    for (const FinishHeap::Hung& hung : clocks_[size_t(link)].hung.entries())
      for (const int32_t crossed : path_of(index(hung.flow)))
        if (crossed != link && !watched_[size_t(crossed)]) neighbours_.add(link, crossed);
}

}  // namespace moesim
