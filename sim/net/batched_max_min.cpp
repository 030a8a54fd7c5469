#include "sim/net/batched_max_min.h"

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr double kSecondsPerPicosecond = 1e-12;
constexpr double kPicosecondsMax = 9.2e18;  // just below 2^63

// As in MaxMin: a last byte that leaves within this after a picosecond counts for that one.
constexpr double kGracePs = 1e-3;

// Windows, in tolerances of the age that the youngest flow has at the first completion: the shortest, the longest, and
// the steps between them.
constexpr double kWindowLeast = 0.75;
constexpr double kWindowMost = 16;
constexpr double kWindowGrowth = 1.5;

// A window may make no more than this part of the flows late by more than so many tolerances.
constexpr double kLatePart = 0.001;
constexpr double kLateTolerances = 0.75;

// Shares may differ by this many tolerances and count as one.
constexpr double kSlackTolerances = 0.25;

// Shares are rounded down to a float and this much further, so that a room is never overdrawn by rounding.
constexpr double kShareRounding = 1 - 0x1p-22;

// The rate of a flow that is done. Its place is reused by the next solve.
constexpr float kGone = -1;

constexpr float kNoShare = std::numeric_limits<float>::infinity();

// Solves without the guide of the last: when so many flows are new, or when there are so many more rounds than it takes
// without a guide.
constexpr size_t kNewPart = 8;
constexpr size_t kRoundsPart = 2;
constexpr size_t kRoundsMore = 8;

}  // namespace

BatchedMaxMin::BatchedMaxMin(std::span<const Link> links, double tolerance)
    : tolerance_(tolerance),
      window_least_(kWindowLeast * tolerance),
      window_most_(kWindowMost * tolerance),
      nowhere_(uint32_t(links.size())),
      crossing_(links.size() + 1),
      shares_(links.size() + 1),
      limits_(links.size() + 1) {
  CHECK(tolerance > 0);
  CHECK(tolerance < 1);
  CHECK(links.size() < std::numeric_limits<uint32_t>::max());
  for (const Link& link : links) capacity_.push_back(link.capacity.bytes_per_s * kSecondsPerPicosecond);
}

void BatchedMaxMin::set_capacity(LinkId link, Rate capacity) {
  CHECK(index(link) < capacity_.size());
  CHECK(capacity.bytes_per_s >= 0);
  CHECK(std::isfinite(capacity.bytes_per_s));
  capacity_[index(link)] = capacity.bytes_per_s * kSecondsPerPicosecond;
  changed_ = true;
}

void BatchedMaxMin::add(FlowId flow, Path path, double bytes) {
  CHECK(!path.empty());
  CHECK(bytes > 0);
  if (path.size() > hops_) lengthen_paths(path.size());
  for (const LinkId link : path) {
    CHECK(index(link) < capacity_.size());
    CHECK(std::count(path.begin(), path.end(), link) == 1);
    waiting_.paths.push_back(uint32_t(link));
    ++crossing_[index(link)];
  }
  waiting_.paths.resize(waiting_.paths.size() + hops_ - path.size(), nowhere_);
  waiting_.states.push_back({bytes, 0, uint32_t(flow)});
  ++live_;
  changed_ = true;
}

// Rare: when the first flow comes whose path is longer than any before.
void BatchedMaxMin::lengthen_paths(size_t hops) {
  for (Flows* flows : {&flows_, &waiting_}) {
    std::vector<uint32_t> paths(flows->states.size() * hops, nowhere_);
    for (size_t i = 0; i < flows->states.size(); ++i)
      std::copy_n(flows->paths.begin() + ptrdiff_t(i * hops_), hops_, paths.begin() + ptrdiff_t(i * hops));
    flows->paths = std::move(paths);
  }
  hops_ = hops;
}

void BatchedMaxMin::solve(Time now) {
  if (!changed_ && due_next_ < due_.size()) return;  // the window goes on
  ++solves_;
  CHECK(now >= at_);
  Time from = now;
  if (!changed_ && released_ > 0) from = at_ + Duration{int64_t(std::floor(released_moment_ / released_))};
  CHECK(from <= now);
  since_ = double((from - at_).ps);
  at_ = from;
  now_ = now;
  if (fresh() > 0) youngest_ = now;
  age_ = double((at_ - youngest_).ps);
  first_ = horizon_ = std::numeric_limits<double>::infinity();
  due_.clear();
  due_next_ = 0;
  released_ = released_moment_ = 0;
  places_valid_ = false;
  changed_ = false;
  begin_links();
  run_rounds();
  plan_finishes();
}

void BatchedMaxMin::begin_links() {
  active_.clear();
  for (uint32_t link = 0; link < nowhere_; ++link) {
    if (crossing_[link] == 0) continue;
    active_.push_back(link);
    shares_[link] = {capacity_[link], 0, 0, crossing_[link], 0, 0};
    limits_[link].limited = 0;
  }
  shares_[nowhere_] = {0, kNoShare, 0, 0, 0, 0};
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
  for (size_t end : round_ends_) {
    if (begin == places) break;
    if (waiting_.states.size() > places - begin) end = places;  // the guide has become wrong: all the rest at once
    run(begin, advance(begin, end));
    begin = end;
  }
  CHECK(begin == places);
  while (!waiting_.states.empty()) {
    const size_t frozen_before = frozen_;
    run(0, 0);
    CHECK(frozen_ > frozen_before);  // so it ends
  }
  CHECK(frozen_ == live_);
  flows_.states.resize(frozen_);
  flows_.paths.resize(frozen_ * hops_);
  std::swap(round_ends_, round_ends_next_);
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
  const size_t hops = kHops > 0 ? kHops : hops_;
  CHECK(begin == end || frozen_ + waiting_.states.size() <= begin);  // so that frozen flows overwrite nothing
  share_out();
  look_at<kHops>(waiting_, 0, waiting_.states.size());
  look_at<kHops>(flows_, begin, end);
  const size_t frozen_before = frozen_;
  const bool any_final = find_final();
  if (any_final) {
    size_t keep = 0;
    for (size_t i = 0; i < waiting_.states.size(); ++i) {
      const uint32_t* path = &waiting_.paths[i * hops];
      if (freeze<kHops>(path, waiting_.states[i])) continue;
      waiting_.states[keep] = waiting_.states[i];
      std::copy_n(path, hops, &waiting_.paths[keep * hops]);
      ++keep;
    }
    waiting_.states.resize(keep);
    waiting_.paths.resize(keep * hops);
  }
  for (size_t i = begin; i < end; ++i) {
    const uint32_t* path = &flows_.paths[i * hops];
    if (any_final && freeze<kHops>(path, flows_.states[i])) continue;
    waiting_.states.push_back(flows_.states[i]);
    waiting_.paths.insert(waiting_.paths.end(), path, path + hops);
  }
  if (frozen_ > frozen_before) round_ends_next_.push_back(frozen_);
}

void BatchedMaxMin::share_out() {
  for (const uint32_t link : active_) {
    Share& share = shares_[link];
    share.share = share.open > 0 ? float(std::max(0.0, share.room) / share.open * kShareRounding) : kNoShare;
    share.least = kNoShare;
    share.seen = 0;
    share.final = 0;
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

bool BatchedMaxMin::find_final() {
  bool any = false;
  const auto most = float(1 + kSlackTolerances * tolerance_);
  for (const uint32_t link : active_) {
    Share& share = shares_[link];
    share.final = share.open > 0 && share.seen == share.open && share.share <= most * share.least;
    if (share.final != 0) {
      any = true;
      limits_[link].rates = float(share.room);
      limits_[link].limited = share.open;
    }
  }
  return any;
}

// Freezes the flow if it crosses a final link, and says so.
template <size_t kHops>
bool BatchedMaxMin::freeze(const uint32_t* path, const State& state) {
  const size_t hops = kHops > 0 ? kHops : hops_;
  Share* shares = shares_.data();
  uint32_t final = 0;
  float rate = kNoShare;
  for (size_t hop = 0; hop < hops; ++hop) {
    final |= shares[path[hop]].final;
    rate = std::min(rate, shares[path[hop]].share);
  }
  if (final == 0) return false;
  for (size_t hop = 0; hop < hops; ++hop) {
    shares[path[hop]].room -= double(rate);
    --shares[path[hop]].open;
  }
  flows_.states[frozen_] = {state.left, rate, state.flow};
  std::copy_n(path, hops, &flows_.paths[frozen_ * hops]);
  if (state.left <= horizon_ * double(rate)) {
    const double after = std::max(double((now_ - at_).ps), state.left / double(rate));
    if (after < first_) {
      first_ = after;
      horizon_ = window_end(window_most_);
    }
    if (after <= horizon_) due_.push_back({after, uint32_t(frozen_)});
  }
  ++frozen_;
  return true;
}

// The end of a window that takes this part of the youngest flow's age.
double BatchedMaxMin::window_end(double window) const { return first_ + window * (first_ + age_); }

// Orders the completions of the window, now that the first of them is known, and finds its end: the longest that makes
// few flows late.
void BatchedMaxMin::plan_finishes() {
  std::erase_if(due_, [&](const Due& due) { return due.after > horizon_; });
  for (const uint32_t link : active_) {
    limits_[link].released = 0;
    limits_[link].done = 0;
  }
  size_t planned = 0;
  double window = window_least_;
  for (double longer = window; longer <= window_most_; longer *= kWindowGrowth) {
    const double end = window_end(longer);
    const auto begin = due_.begin() + ptrdiff_t(planned);
    const auto later = std::partition(begin, due_.end(), [&](const Due& due) { return due.after <= end; });
    for (auto due = begin; due != later; ++due) release(due->place);
    if (longer > window_least_ && double(made_late(longer)) > kLatePart * double(live_)) break;
    std::sort(begin, later,
              [](const Due& a, const Due& b) { return a.after != b.after ? a.after < b.after : a.place < b.place; });
    planned = size_t(later - due_.begin());
    window = longer;
  }
  due_.resize(planned);
  window_most_ = std::min(kWindowMost * tolerance_, window * kWindowGrowth * kWindowGrowth * 1.01);
}

void BatchedMaxMin::release(uint32_t place) {
  for (size_t hop = 0; hop < hops_; ++hop) {
    Limit& limit = limits_[flows_.paths[place * hops_ + hop]];
    limit.released += flows_.states[place].rate;
    ++limit.done;
  }
}

// How many flows are late at the end of such a window: where the flows that are done by then leave the others a part p
// of the rates that their link limits, these could be done earlier by up to p times the window.
size_t BatchedMaxMin::made_late(double window) const {
  size_t late = 0;
  for (const uint32_t link : active_) {
    const Limit& limit = limits_[link];
    if (limit.limited <= limit.done) continue;
    const double part = std::min(1.0, double(limit.released) / double(limit.rates));
    if (part * window > kLateTolerances * tolerance_) late += limit.limited - limit.done;
  }
  return late;
}

Time BatchedMaxMin::next_finish() const {
  if (due_next_ == due_.size()) return kNever;
  const double after = std::ceil(due_[due_next_].after - kGracePs);
  if (after >= kPicosecondsMax - double(at_.ps)) return kNever;
  return std::max(at_ + Duration{int64_t(after)}, now_ + Duration{1});
}

void BatchedMaxMin::take_finished(Time now, std::vector<FlowId>& finished) {
  CHECK(next_finish() >= now);
  for (; next_finish() <= now; ++due_next_) {
    const uint32_t place = due_[due_next_].place;
    const State& state = flows_.states[place];
    if (state.rate < 0) continue;  // taken out since
    finished.push_back(FlowId(state.flow));
    released_ += double(state.rate);
    released_moment_ += double(state.rate) * double((now - at_).ps);
    remove(place);
  }
}

void BatchedMaxMin::remove(uint32_t place) {
  flows_.states[place].rate = kGone;
  for (size_t hop = 0; hop < hops_; ++hop) --crossing_[flows_.paths[place * hops_ + hop]];
  --live_;
}

double BatchedMaxMin::left_at(const State& state, Time now) const {
  return std::max(0.0, state.left - double(state.rate) * double((now - at_).ps));
}

double BatchedMaxMin::take_out(FlowId flow, Time now) {
  changed_ = true;
  const uint32_t place = place_of(flow);
  if (place < flows_.states.size()) {
    const double left = left_at(flows_.states[place], now);
    remove(place);
    return left;
  }
  const auto found = std::find_if(waiting_.states.begin(), waiting_.states.end(),
                                  [&](const State& state) { return FlowId(state.flow) == flow; });
  CHECK(found != waiting_.states.end());
  const double left = found->left;
  const auto path = waiting_.paths.begin() + (found - waiting_.states.begin()) * ptrdiff_t(hops_);
  for (auto link = path; link != path + ptrdiff_t(hops_); ++link) --crossing_[*link];
  waiting_.paths.erase(path, path + ptrdiff_t(hops_));
  waiting_.states.erase(found);
  --live_;
  return left;
}

Rate BatchedMaxMin::rate(FlowId flow) const {
  const uint32_t place = place_of(flow);
  return {place < flows_.states.size() ? double(flows_.states[place].rate) / kSecondsPerPicosecond : 0};
}

// Where the flow lies, or the number of places if it has been added since the last solve.
uint32_t BatchedMaxMin::place_of(FlowId flow) const {
  if (!places_valid_) {
    for (uint32_t place = 0; place < flows_.states.size(); ++place) {
      if (flows_.states[place].rate < 0) continue;
      const size_t id = flows_.states[place].flow;
      if (id >= places_.size()) places_.resize(id + 1);
      places_[id] = place;
    }
    places_valid_ = true;
  }
  const uint32_t place = index(flow) < places_.size() ? places_[index(flow)] : uint32_t(flows_.states.size());
  const bool there =
      place < flows_.states.size() && flows_.states[place].rate >= 0 && FlowId(flows_.states[place].flow) == flow;
  return there ? place : uint32_t(flows_.states.size());
}

}  // namespace moesim
