#include <algorithm>
#include <utility>

#include "sim/core/check.h"
#include "sim/net/batched_max_min.h"

namespace moesim {
namespace {

// Shares may differ by this many tolerances and count as one.
constexpr double kSlackTolerances = 0.3;

// Shares are rounded down to a float and this much further, so that a room is never overdrawn by rounding.
constexpr double kShareRounding = 1 - 0x1p-22;

constexpr float kNoShare = std::numeric_limits<float>::infinity();

// Solves without the guide of the last: when so many flows are new, or when there are so many more rounds than it takes
// without a guide.
constexpr size_t kNewPart = 8;
constexpr size_t kRoundsPart = 2;
constexpr size_t kRoundsMore = 8;

}  // namespace

void BatchedMaxMin::begin_links() {
  active_.clear();
  for (uint32_t link = 0; link < nowhere_; ++link) {
    if (crossing_[link] == 0) continue;
    active_.push_back(link);
    rooms_[link] = {capacity_[link], crossing_[link]};
    limits_[link].limited = 0;
  }
  shares_[nowhere_] = {kNoShare, 0, 0, 0};
  rooms_[nowhere_] = {};
}

void BatchedMaxMin::run_rounds() {
  const auto run = [this](size_t begin, size_t end) {
    if (hops_ <= 4) return hops_ == 4 ? run_round<4>(begin, end) : run_round<0>(begin, end);
    return hops_ == 6 ? run_round<6>(begin, end) : hops_ == 8 ? run_round<8>(begin, end) : run_round<0>(begin, end);
  };
  // New flows wait from the start, and there must be room for as many in front: see run_round().
  size_t begin = fresh();
  flows_.states.insert(flows_.states.begin(), begin, State{0, kGone, 0});
  flows_.paths.insert(flows_.paths.begin(), begin * hops_, nowhere_);
  for (size_t& end : round_ends_) end += begin;
  const size_t places = flows_.states.size();
  const bool from_ground =
      fresh() > live_ / kNewPart || round_ends_.size() > kRoundsPart * rounds_from_ground_ + kRoundsMore;
  if (from_ground) round_ends_ = {places};
  round_ends_next_.clear();
  frozen_ = 0;
  waiting_count_ = begin;
  for (size_t end : round_ends_) {
    if (begin == places) break;
    if (waiting_count_ > places - begin) end = places;  // the guide has become wrong: all the rest at once
    run(begin, advance(begin, end));
    begin = end;
  }
  CHECK(begin == places);
  while (waiting_count_ > 0) {
    const size_t frozen_before = frozen_;
    run(0, 0);
    CHECK(frozen_ > frozen_before);  // so it ends
  }
  CHECK(frozen_ == live_);
  flows_.states.resize(frozen_);
  flows_.paths.resize(frozen_ * hops_);
  std::swap(round_ends_, round_ends_next_);
  waiting_.states.clear();
  waiting_.paths.clear();
  if (!from_ground) return;
  rounds_from_ground_ = round_ends_.size();
  waiting_ = {};  // nearly all waited in the first round; gives the memory back
}

// Brings the flows up to the time at_ and closes the gaps of those that are done. Returns the new end.
size_t BatchedMaxMin::advance(size_t begin, size_t end) {
  size_t to = begin;
  for (size_t from = begin; from < end; ++from) {
    State state = flows_.states[from];
    if (state.rate < 0) continue;
    state.left = std::max(0.0, state.left - double(state.rate) * since_);
    flows_.states[to] = state;
    if (to != from) std::copy_n(&flows_.paths[from * hops_], hops_, &flows_.paths[to * hops_]);
    ++to;
  }
  return to;
}

// One round: over the flows that wait, and those of [begin, end). Frozen flows go to the front; the others wait.
template <size_t kHops>
void BatchedMaxMin::run_round(size_t begin, size_t end) {
  CHECK(begin == end || frozen_ + waiting_count_ <= begin);  // so that frozen flows overwrite nothing
  share_out();
  look_at<kHops>(waiting_, 0, waiting_count_);
  look_at<kHops>(flows_, begin, end);
  find_final();
  if (waiting_.states.size() < waiting_count_ + end - begin) {
    waiting_.states.resize(waiting_count_ + end - begin);
    waiting_.paths.resize(waiting_.states.size() * hops_);
  }
  const size_t frozen_before = frozen_;
  const size_t waiting_before = std::exchange(waiting_count_, 0);
  freeze<kHops>(waiting_, 0, waiting_before);
  freeze<kHops>(flows_, begin, end);
  if (frozen_ > frozen_before) round_ends_next_.push_back(frozen_);
}

void BatchedMaxMin::share_out() {
  for (const uint32_t link : active_) {
    const Room& room = rooms_[link];
    const float share = room.open > 0 ? float(std::max(0.0, room.room) / room.open * kShareRounding) : kNoShare;
    shares_[link] = {share, kNoShare, 0, 0};
  }
}

template <size_t kHops>
void BatchedMaxMin::look_at(const Flows& flows, size_t begin, size_t end) {
  const size_t hops = kHops > 0 ? kHops : hops_;
  Share* shares = shares_.data();
  const uint32_t* path = flows.paths.data() + begin * hops;
  for (size_t i = begin; i < end; ++i, path += hops) {
    float least = kNoShare;
    for (size_t hop = 0; hop < hops; ++hop) least = std::min(least, shares[path[hop]].share);
    for (size_t hop = 0; hop < hops; ++hop) {
      Share& share = shares[path[hop]];
      share.least = std::min(share.least, least);
      ++share.seen;
    }
  }
}

void BatchedMaxMin::find_final() {
  const auto most = float(1 + kSlackTolerances * tolerance_);
  for (const uint32_t link : active_) {
    Share& share = shares_[link];
    const Room& room = rooms_[link];
    share.final = room.open > 0 && share.seen == room.open && share.share <= most * share.least;
    if (share.final != 0) {
      limits_[link].rates = float(room.room);
      limits_[link].limited = room.open;
    }
  }
}

// Freezes those of the flows that cross a final link, and puts the others behind those that wait. What the loop works
// on is held in locals: a write to a flow could else be a write to any of it.
template <size_t kHops>
void BatchedMaxMin::freeze(const Flows& flows, size_t begin, size_t end) {
  const size_t hops = kHops > 0 ? kHops : hops_;
  const Share* const shares = shares_.data();
  Room* const rooms = rooms_.data();
  const uint32_t* path = flows.paths.data() + begin * hops;
  const State* state = flows.states.data() + begin;
  const State* const state_end = flows.states.data() + end;
  uint32_t* keep_path = waiting_.paths.data() + waiting_count_ * hops;
  State* keep = waiting_.states.data() + waiting_count_;
  uint32_t* frozen_path = flows_.paths.data() + frozen_ * hops;
  State* frozen = flows_.states.data() + frozen_;
  double horizon = horizon_;
  for (; state != state_end; ++state, path += hops) {
    uint32_t final = 0;
    float rate = kNoShare;
    for (size_t hop = 0; hop < hops; ++hop) {
      final |= shares[path[hop]].final;
      rate = std::min(rate, shares[path[hop]].share);
    }
    const State now = *state;
    if (final == 0) {
      *keep++ = now;
      std::copy_n(path, hops, keep_path);
      keep_path += hops;
      continue;
    }
    for (size_t hop = 0; hop < hops; ++hop) {
      rooms[path[hop]].room -= double(rate);
      --rooms[path[hop]].open;
    }
    if (now.left <= horizon * double(rate))
      horizon = note_due(now.left / double(rate), uint32_t(frozen - flows_.states.data()));
    *frozen++ = {now.left, rate, now.flow};
    std::copy_n(path, hops, frozen_path);
    frozen_path += hops;
  }
  frozen_ = size_t(frozen - flows_.states.data());
  waiting_count_ = size_t(keep - waiting_.states.data());
}

}  // namespace moesim
