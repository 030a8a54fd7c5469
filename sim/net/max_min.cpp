#include "sim/net/max_min.h"

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr double kSecondsPerPicosecond = 1e-12;
constexpr double kPicosecondsMax = 9.2e18;  // just below 2^63

// A flow whose last byte leaves within this after a whole picosecond is done at that picosecond: without it, the
// rounding of a sum would make a transfer of exactly 5 ns end at 5.001 ns. It is some 1e4 times that rounding.
constexpr double kGracePs = 1e-3;

// Saved states on the way up; more of them cost more to keep and save less.
constexpr size_t kSavesWanted = 16;

// Clocks are set back beyond this, so that adding a picosecond's bytes to one loses no more than 1e-5 bytes.
constexpr double kServedMax = 0x1p36;

// Sums of bytes served are right to within this part of them.
constexpr double kServedRounding = 1e-12;

// A link that is over its capacity by less than this part of it may be so by rounding alone.
constexpr double kOverfull = 1e-10;

constexpr double kCertificateTolerance = 1e-9;

}  // namespace

MaxMin::MaxMin(std::span<const Link> links)
    : shares_(links.size() + 1),
      clocks_(links.size()),
      crossing_(links.size()),
      active_place_(links.size()),
      is_expected_(links.size()),
      saved_(1),
      nowhere_(int32_t(links.size())) {
  for (const Link& link : links) {
    CHECK(link.capacity.bytes_per_s > 0);
    CHECK(std::isfinite(link.capacity.bytes_per_s));
    capacity_.push_back(link.capacity.bytes_per_s * kSecondsPerPicosecond);
  }
  saved_[0].shares.resize(links.size());
}

void MaxMin::make_room_for(size_t flow, size_t hops) {
  if (flow >= step_.size()) {
    step_.resize(flow + 1);
    bottleneck_.resize(flow + 1, kNoLink);
    heap_place_.resize(flow + 1);
    bytes_.resize(flow + 1);
    hops_.resize(flow + 1);
    crossed_.resize((flow + 1) * hops_max_, nowhere_);
    place_.resize((flow + 1) * hops_max_);
  }
  if (hops > hops_max_) {  // rare: the first flow with a longer path than any before
    std::vector<int32_t> crossed(step_.size() * hops, nowhere_);
    std::vector<uint32_t> place(step_.size() * hops);
    for (size_t f = 0; f < step_.size(); ++f) {
      std::copy_n(crossed_of(f), hops_[f], crossed.begin() + ptrdiff_t(f * hops));
      std::copy_n(place_.begin() + ptrdiff_t(f * hops_max_), hops_[f], place.begin() + ptrdiff_t(f * hops));
    }
    crossed_ = std::move(crossed);
    place_ = std::move(place);
    hops_max_ = hops;
  }
}

void MaxMin::add(FlowId id, Path path, double bytes) {
  CHECK(!path.empty());
  CHECK(bytes > 0);
  const size_t flow = index(id);
  make_room_for(flow, path.size());
  CHECK(hops_[flow] == 0);   // the slot is free
  step_[flow] = next_step_;  // open in the next solve, whichever saved state it starts from
  bytes_[flow] = bytes;
  bottleneck_[flow] = kNoLink;
  for (const LinkId id_of_link : path) {
    const auto link = int32_t(id_of_link);
    CHECK(index(id_of_link) < capacity_.size());
    CHECK(std::find(crossed_of(flow), crossed_of(flow) + hops_[flow], link) == crossed_of(flow) + hops_[flow]);
    std::vector<Crossing>& crossing = crossing_[size_t(link)];
    if (crossing.empty()) activate(link);
    expect(link);
    crossed_of(flow)[hops_[flow]] = link;
    place_[flow * hops_max_ + hops_[flow]] = uint32_t(crossing.size());
    crossing.push_back({uint32_t(flow), hops_[flow]++});
  }
  while (saves_ > 1 && !unaffected_by(saved_[saves_ - 1], path)) --saves_;
  for (size_t s = 0; s < saves_; ++s)
    for (const LinkId link : path) ++saved_[s].shares[index(link)].open;
  ++live_;
  live_hops_ += path.size();
}

// Whether one more flow on this path would still be open at the saved level: every link of it holds the level once
// more. A link that filled before has no room, so that a flow across it is found to affect the state.
bool MaxMin::unaffected_by(const Saved& saved, Path path) const {
  return std::all_of(path.begin(), path.end(), [&](LinkId link) {
    const Share& share = saved.shares[index(link)];
    return share.room >= (share.open + 1) * saved.level;
  });
}

void MaxMin::activate(int32_t link) {
  active_place_[size_t(link)] = uint32_t(active_.size());
  active_.push_back(link);
  for (size_t s = 0; s < saves_; ++s) saved_[s].shares[size_t(link)] = {capacity_[size_t(link)], 0};
}

void MaxMin::deactivate(int32_t link) {
  const uint32_t place = active_place_[size_t(link)];
  active_[place] = active_.back();
  active_place_[size_t(active_[place])] = place;
  active_.pop_back();
}

void MaxMin::remove(size_t flow) {
  while (saved_[saves_ - 1].step > step_[flow]) --saves_;  // ends at the ground, whose step is 0
  for (uint32_t hop = 0; hop < hops_[flow]; ++hop) {
    const auto link = size_t(crossed_of(flow)[hop]);
    const uint32_t place = place_[flow * hops_max_ + hop];
    for (size_t s = 0; s < saves_; ++s) --saved_[s].shares[link].open;
    const Crossing last = crossing_[link].back();
    crossing_[link][place] = last;
    place_[last.flow * hops_max_ + last.hop] = place;
    crossing_[link].pop_back();
    if (crossing_[link].empty()) deactivate(int32_t(link));
  }
  std::fill_n(crossed_of(flow), hops_[flow], nowhere_);
  --live_;
  live_hops_ -= hops_[flow];
  hops_[flow] = 0;
}

double MaxMin::take_out(FlowId id, Time now) {
  const size_t flow = index(id);
  double left = bytes_[flow];
  if (bottleneck_[flow] != kNoLink) {
    Clock& clock = clocks_[size_t(bottleneck_[flow])];
    advance(clock, now);
    left = std::max(0.0, clock.hung[heap_place_[flow]].finish - clock.served);
    clock.hung.erase(heap_place_[flow], heap_place_);
    bottleneck_[flow] = kNoLink;
  }
  remove(flow);
  return left;
}

void MaxMin::set_capacity(LinkId link, Rate capacity) {
  capacity_[index(link)] = capacity.bytes_per_s * kSecondsPerPicosecond;
  saves_ = 1;
  saved_[0].shares[index(link)].room = capacity_[index(link)];
  if (!crossing_[index(link)].empty()) expect(int32_t(link));
}

void MaxMin::solve(Time now) {
  for (size_t i = saved_[saves_ - 1].filled; i < filled_.size(); ++i)
    if (!crossing_[size_t(filled_[i].link)].empty()) expect(filled_[i].link);
  const size_t saves_before = saves_;
  size_t rounds_left = active_.size() + 1;  // each but the last expects more links
  do {
    CHECK(rounds_left-- > 0);
    saves_ = saves_before;
    resume(saved_[saves_ - 1]);
    rise(now);
  } while (expect_overfull());
  for (const int32_t link : expected_) is_expected_[size_t(link)] = false;
  expected_.clear();
}

void MaxMin::expect(int32_t link) {
  if (is_expected_[size_t(link)]) return;
  is_expected_[size_t(link)] = true;
  expected_.push_back(link);
}

// Links that were not expected to fill may have been given more than they hold. Where none is, the rates are max-min
// fair: every flow was frozen by a link that it filled, at a level that no flow frozen before on that link exceeds.
bool MaxMin::expect_overfull() {
  bool found = false;
  for (const int32_t link : active_) {
    if (is_expected_[size_t(link)] || shares_[size_t(link)].room >= -kOverfull * capacity_[size_t(link)]) continue;
    expect(link);
    found = true;
  }
  return found;
}

// Puts the links back to the saved state.
void MaxMin::resume(const Saved& saved) {
  filled_.resize(saved.filled);
  open_from_ = saved.step;
  open_until_ = ++next_step_;
  for (const int32_t link : active_) shares_[size_t(link)] = saved.shares[size_t(link)];
  shares_[size_t(nowhere_)] = {};
  fills_next_.clear();
  for (const int32_t link : expected_) {
    const Share& share = shares_[size_t(link)];
    if (share.open > 0) fills_next_.add(uint32_t(link), share.room / share.open);
  }
  fills_next_.begin();
}

// Lets the water rise from the state resumed until every flow is frozen.
void MaxMin::rise(Time now) {
  double level = saved_[saves_ - 1].level;
  size_t open = live_ - saved_[saves_ - 1].frozen;
  const size_t hops_between_saves = std::max(active_.size(), live_ * hops_max_ / kSavesWanted);
  size_t hops = 0;
  size_t steps_left = 2 * (active_.size() + live_hops_) + 1;  // each fills a link, or finds a share that has grown
  while (open > 0) {
    CHECK(steps_left-- > 0);
    const auto [share_seen, link, seat] = fills_next_.winner();
    CHECK(share_seen < Tournament::kOut);
    const Share& share = shares_[link];
    const double share_now = share.open > 0 ? share.room / share.open : Tournament::kOut;
    if (share_now > share_seen) {  // others have left it some of their room, or taken all its flows
      fills_next_.set_key(seat, share_now);
      continue;
    }
    level = std::max(level, share_now);  // smaller by rounding alone
    open -= size_t(share.open);
    hops += fill(int32_t(link), level, now);
    fills_next_.set_key(seat, Tournament::kOut);
    if (hops >= hops_between_saves && open > 0) {
      save(level, open);
      hops = 0;
    }
  }
}

// Freezes the open flows of the link at that level, and returns how many hops it had to look at.
size_t MaxMin::fill(int32_t link, double level, Time now) {
  Clock& clock = clocks_[size_t(link)];
  advance(clock, now);
  clock.level = level;
  gather_open(link);
  for (const uint32_t flow : freezing_) {
    step_[flow] = next_step_;
    // Paths are padded with a link that nobody looks at, which is cheaper than to mispredict where each one ends.
    for (const int32_t *crossed = crossed_of(flow), *end = crossed + hops_max_; crossed != end; ++crossed) {
      Share& share = shares_[size_t(*crossed)];
      share.room -= level;
      --share.open;
    }
    if (bottleneck_[flow] != link) hang(flow, link, now);
  }
  ++next_step_;
  filled_.push_back({link, next_finish_of(clock)});
  return freezing_.size() * hops_max_;
}

// Collects the open flows of a link. Without a branch on whether each is open: it would be mispredicted half the time.
void MaxMin::gather_open(int32_t link) {
  const auto open = size_t(shares_[size_t(link)].open);
  freezing_.resize(open + 1);  // the last is where those go that are not open
  size_t found = 0;
  for (const Crossing& crossing : crossing_[size_t(link)]) {
    freezing_[found] = crossing.flow;
    found += size_t(step_[crossing.flow] - open_from_ < open_until_ - open_from_);  // wraps round below open_from_
  }
  CHECK(found == open);
  freezing_.pop_back();
}

// Takes the flow from the link on which it hangs, if any, to another; what remains of it is the same on both clocks.
void MaxMin::hang(size_t flow, int32_t link, Time now) {
  double remaining = bytes_[flow];
  if (bottleneck_[flow] != kNoLink) {
    Clock& from = clocks_[size_t(bottleneck_[flow])];
    advance(from, now);
    remaining = std::max(0.0, from.hung[heap_place_[flow]].finish - from.served);
    from.hung.erase(heap_place_[flow], heap_place_);
  }
  Clock& to = clocks_[size_t(link)];
  to.hung.push({to.served + remaining, FlowId(flow)}, heap_place_);
  bottleneck_[flow] = link;
}

void MaxMin::save(double level, size_t open) {
  if (saves_ == saved_.size()) {
    saved_.emplace_back();
    saved_.back().shares.resize(capacity_.size());
  }
  Saved& saved = saved_[saves_++];
  for (const int32_t link : active_) saved.shares[size_t(link)] = shares_[size_t(link)];
  saved.step = next_step_;
  saved.filled = filled_.size();
  saved.frozen = live_ - open;
  saved.level = level;
}

void MaxMin::advance(Clock& clock, Time now) {
  CHECK(now >= clock.at);
  clock.served = clock.hung.empty() ? 0 : clock.served + clock.level * double((now - clock.at).ps);
  clock.at = now;
  if (clock.served > kServedMax) {
    clock.hung.rebase(clock.served);
    clock.served = 0;
  }
}

Time MaxMin::next_finish_of(const Clock& clock) {
  const double left_ps = std::max(1.0, std::ceil((clock.hung.top().finish - clock.served) / clock.level - kGracePs));
  return left_ps < kPicosecondsMax - double(clock.at.ps) ? clock.at + Duration{int64_t(left_ps)} : kNever;
}

Time MaxMin::next_finish() const {
  Time next = kNever;
  for (const Filled& filled : filled_) next = std::min(next, filled.next_finish);
  return next;
}

void MaxMin::take_finished(Time now, std::vector<FlowId>& finished) {
  const size_t finished_before = finished.size();
  for (const Filled& filled : filled_) {
    CHECK(filled.next_finish >= now);  // nobody is served for more than a picosecond after the last byte
    if (filled.next_finish > now) continue;
    Clock& clock = clocks_[size_t(filled.link)];
    advance(clock, now);
    const double done = clock.served + clock.level * kGracePs;
    const double rounding = kServedRounding * clock.served;
    CHECK(!clock.hung.empty());
    CHECK(clock.hung.top().finish <= done + rounding);  // all bytes have been delivered,
    CHECK(clock.hung.top().finish >= done - clock.level * (1 + 2 * kGracePs) - rounding);  // and no more
    do {
      const size_t flow = index(clock.hung.top().flow);
      finished.push_back(clock.hung.top().flow);
      clock.hung.erase(0, heap_place_);
      bottleneck_[flow] = kNoLink;
    } while (!clock.hung.empty() && clock.hung.top().finish <= done);
  }
  for (size_t i = finished_before; i < finished.size(); ++i) remove(index(finished[i]));
}

Rate MaxMin::rate(FlowId flow) const {
  const int32_t link = bottleneck_[index(flow)];
  return {link == kNoLink ? 0 : clocks_[size_t(link)].level / kSecondsPerPicosecond};
}

void MaxMin::check_certificate() const {
  size_t crossings = 0;
  for (const int32_t link : active_) {
    double load = 0;
    double fastest = 0;
    for (const Crossing& crossing : crossing_[size_t(link)]) {
      CHECK(bottleneck_[crossing.flow] != kNoLink);
      const double rate = clocks_[size_t(bottleneck_[crossing.flow])].level;
      load += rate;
      fastest = std::max(fastest, rate);
    }
    crossings += crossing_[size_t(link)].size();
    CHECK(load <= capacity_[size_t(link)] * (1 + kCertificateTolerance));
    if (clocks_[size_t(link)].hung.empty()) continue;
    CHECK(load >= capacity_[size_t(link)] * (1 - kCertificateTolerance));         // flows hang on full links only,
    CHECK(fastest <= clocks_[size_t(link)].level * (1 + kCertificateTolerance));  // on which none is faster than they
  }
  CHECK(crossings == live_hops_);
}

}  // namespace moesim
