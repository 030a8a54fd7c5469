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
constexpr double kWindowLeast = 1;
constexpr double kWindowMost = 8;
constexpr double kWindowGrowth = 1.5;

// A window may make no more than this part of the flows late by more than so many tolerances.
constexpr double kLatePart = 0.0015;
constexpr double kLateTolerances = 1;

}  // namespace

BatchedMaxMin::BatchedMaxMin(std::span<const Link> links, double tolerance)
    : tolerance_(tolerance),
      window_least_(kWindowLeast * tolerance),
      window_most_(kWindowMost * tolerance),
      nowhere_(uint32_t(links.size())),
      crossing_(links.size() + 1),
      shares_(links.size() + 1),
      rooms_(links.size() + 1),
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

// Collects a completion, and returns how far a window may reach at most, for what is known so far.
double BatchedMaxMin::note_due(double after, uint32_t place) {
  after = std::max(double((now_ - at_).ps), after);
  if (after < first_) {
    first_ = after;
    horizon_ = window_end(window_most_);
  }
  if (after <= horizon_) due_.push_back({after, place});
  return horizon_;
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
