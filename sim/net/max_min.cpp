// Flows that come and go, the clocks that serve them, and when the first of them is done.
#include "sim/net/max_min.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr double kSecondsPerPicosecond = 1e-12;
constexpr double kPicosecondsMax = 9.2e18;  // just below 2^63

// A flow whose last byte leaves within this after a whole picosecond is done at that picosecond: without it, the
// rounding of a sum would make a transfer of exactly 5 ns end at 5.001 ns. It is some 1e4 times that rounding.
constexpr double kGracePs = 1e-3;

// Clocks are set back beyond this, so that adding a picosecond's bytes to one loses no more than 1e-5 bytes.
constexpr double kServedMax = 0x1p36;

// Sums of bytes served are right to within this part of them.
constexpr double kServedRounding = 1e-12;

// The largest capacity is between this and half of it, in units: a level of a millionth of it is still right to 1e-10,
// and the sums on a link may exceed its capacity 32 times on the way to a solution.
constexpr double kUnitsMax = 0x1p58;

// A solve starts from the ground when more flows have come or gone than this, and as many as half of those there are.
constexpr size_t kFewChanges = 8;

// So often it is looked for links that have become worth watching or are so no more.
constexpr uint64_t kSolvesPerReview = 256;

constexpr double kCertificateTolerance = 1e-9;
constexpr double kCertificateUnits = 64;  // by which levels may be off for their rounding to whole units

bool is_most(size_t changes, size_t flows) { return changes > kFewChanges && 2 * changes > flows; }

}  // namespace

MaxMin::MaxMin(std::span<const Link> links)
    : loads_(links.size()),
      watched_(links.size()),
      clocks_(links.size()),
      neighbours_(links.size()),
      crossing_(links.size()),
      used_place_(links.size()),
      queue_(links.size()),
      is_touched_(links.size()),
      finishes_(links.size()),
      open_(links.size()) {
  double capacity_max = 0;
  for (const Link& link : links) {
    CHECK(link.capacity.bytes_per_s >= 0);
    CHECK(std::isfinite(link.capacity.bytes_per_s));
    bytes_per_ps_.push_back(link.capacity.bytes_per_s * kSecondsPerPicosecond);
    capacity_max = std::max(capacity_max, bytes_per_ps_.back());
  }
  choose_unit(capacity_max);
}

// A power of two, so that a capacity becomes a whole number of units without rounding, or nearly.
void MaxMin::choose_unit(double capacity_max) {
  int exponent = 0;
  std::frexp(capacity_max, &exponent);  // capacity_max < 2^exponent
  unit_ = std::ldexp(1 / kUnitsMax, exponent);
  for (size_t link = 0; link < bytes_per_ps_.size(); ++link) {
    clocks_[link].capacity = in_units(bytes_per_ps_[link]);
    loads_[link].mark_above = clocks_[link].capacity;
  }
}

int64_t MaxMin::in_units(double capacity) const {
  return capacity > 0 ? std::max(int64_t{1}, int64_t(std::llround(capacity / unit_))) : 0;
}

void MaxMin::make_room_for(size_t flow, size_t hops) {
  if (flow >= bottleneck_.size()) {
    bottleneck_.resize(flow + 1, kNoLink);
    heap_place_.resize(flow + 1);
    hops_.resize(flow + 1);
    crossed_.resize((flow + 1) * hops_max_);
    place_.resize((flow + 1) * hops_max_);
  }
  if (hops > hops_max_) {  // rare: the first flow with a longer path than any before
    std::vector<int32_t> crossed(hops_.size() * hops);
    std::vector<uint32_t> place(hops_.size() * hops);
    for (size_t f = 0; f < hops_.size(); ++f) {
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
  CHECK(path.size() <= std::numeric_limits<uint16_t>::max());
  CHECK(bytes >= 0);
  const size_t flow = index(id);
  make_room_for(flow, path.size());
  CHECK(hops_[flow] == 0);  // the slot is free
  for (const LinkId link : path) {
    CHECK(index(link) < bytes_per_ps_.size());
    const std::span<const int32_t> before = path_of(flow);
    CHECK(std::find(before.begin(), before.end(), int32_t(link)) == before.end());
    crossed_of(flow)[hops_[flow]++] = int32_t(link);
  }
  fresh_.push_back({uint32_t(flow), bytes});
  ++live_;
  live_hops_ += path.size();
}

void MaxMin::set_capacity(LinkId id, Rate capacity) {
  CHECK(index(id) < bytes_per_ps_.size());
  CHECK(capacity.bytes_per_s >= 0);
  CHECK(std::isfinite(capacity.bytes_per_s));
  const auto link = int32_t(id);
  bytes_per_ps_[size_t(link)] = capacity.bytes_per_s * kSecondsPerPicosecond;
  if (bytes_per_ps_[size_t(link)] >= unit_ * kUnitsMax) {  // rare: all levels are in another unit from now on
    choose_unit(*std::max_element(bytes_per_ps_.begin(), bytes_per_ps_.end()));
    from_ground_ = true;
    return;
  }
  clocks_[size_t(link)].capacity = in_units(bytes_per_ps_[size_t(link)]);
  mark(link);
}

// Puts the flow, which hangs on a link or is about to, on the lists of the links that it crosses.
void MaxMin::cross(size_t flow) {
  for (size_t hop = 0; hop < hops_[flow]; ++hop) {
    const auto link = size_t(crossed_of(flow)[hop]);
    std::vector<Crossing>& crossing = crossing_[link];
    if (crossing.empty()) {
      crossing.reserve(size_t(open_[link]));  // of many that come at once
      used_place_[link] = uint32_t(used_.size());
      used_.push_back(int32_t(link));
    }
    place_[flow * hops_max_ + hop] = uint32_t(crossing.size());
    crossing.push_back({uint32_t(flow), bottleneck_[flow]});
  }
}

void MaxMin::uncross(size_t flow) {
  for (size_t hop = 0; hop < hops_[flow]; ++hop) {
    const int32_t link = crossed_of(flow)[hop];
    std::vector<Crossing>& crossing = crossing_[size_t(link)];
    const uint32_t place = place_[flow * hops_max_ + hop];
    const Crossing last = crossing.back();
    const std::span<const int32_t> path = path_of(last.flow);
    crossing[place] = last;
    place_[last.flow * hops_max_ + size_t(std::find(path.begin(), path.end(), link) - path.begin())] = place;
    crossing.pop_back();
    if (!crossing.empty()) continue;
    const uint32_t used_place = used_place_[size_t(link)];
    used_[used_place] = used_.back();
    used_place_[size_t(used_[used_place])] = used_place;
    used_.pop_back();
    watches_ -= size_t(watched_[size_t(link)]);
    watched_[size_t(link)] = false;
  }
}

void MaxMin::forget(size_t flow) {
  bottleneck_[flow] = kNoLink;
  --live_;
  live_hops_ -= hops_[flow];
  hops_[flow] = 0;
}

// Hangs a new flow on the link that looks narrowest to it. Where that is wrong, another takes it over.
void MaxMin::put_on(size_t flow, double bytes, Time now) {
  int32_t narrowest = kNoLink;
  int64_t share_least = kUnlimited;
  for (const int32_t link : path_of(flow)) {
    const Load& load = loads_[size_t(link)];
    const auto hung = int64_t(clocks_[size_t(link)].hung.size());
    const int64_t share = std::max(int64_t{0}, clocks_[size_t(link)].capacity - load.others) / (hung + 1);
    if (narrowest != kNoLink && share >= share_least) continue;
    narrowest = link;
    share_least = share;
  }
  if (watched_[size_t(narrowest)]) neighbour_again(narrowest);
  Clock& clock = clocks_[size_t(narrowest)];
  share_least = std::max(share_least, int64_t(clock.capacity > 0));
  // Many at once on a link whose level is that of few would count for more than a sum can hold.
  const bool too_fast = loads_[size_t(narrowest)].level / 4 * int64_t(clock.hung.size() + 1) > clock.capacity;
  if (clock.hung.empty() || too_fast) set_level(narrowest, share_least, now);
  advance(clock, now);
  touch(narrowest);
  clock.hung.push({clock.served + bytes, FlowId(flow)}, heap_place_);
  bottleneck_[flow] = narrowest;
  mark(narrowest);
  const int64_t rate = loads_[size_t(narrowest)].level;
  for (const int32_t link : path_of(flow)) {
    if (link == narrowest) continue;
    Load& other = loads_[size_t(link)];
    if (watched_[size_t(link)]) {
      other.others += clocks_[size_t(narrowest)].published;
    } else {
      other.others += rate;
      other.fastest = std::max(other.fastest, rate);
      neighbours_.add(narrowest, link);
    }
    if (other.others > other.mark_above) mark(link);
  }
  cross(flow);
}

// Takes a flow away that hung on that link, from whose heap it has been taken.
void MaxMin::take_off(size_t flow, int32_t link) {
  mark(link);
  touch(link);
  for (const int32_t crossed : path_of(flow)) {
    if (crossed == link) continue;
    Load& load = loads_[size_t(crossed)];
    if (watched_[size_t(crossed)]) {
      load.others -= clocks_[size_t(link)].published;
    } else {
      load.others -= loads_[size_t(link)].level;
      neighbours_.remove(link, crossed);
    }
    if (load.others > load.mark_above) mark(crossed);
  }
  uncross(flow);
}

double MaxMin::take_out(FlowId id, Time now) {
  const size_t flow = index(id);
  CHECK(flow < hops_.size());
  CHECK(hops_[flow] > 0);
  const int32_t link = bottleneck_[flow];
  double bytes = 0;
  if (link == kNoLink) {
    const auto fresh = std::find_if(fresh_.begin(), fresh_.end(), [&](const Fresh& f) { return f.flow == flow; });
    CHECK(fresh != fresh_.end());
    bytes = fresh->bytes;
    fresh_.erase(fresh);
  } else {
    Clock& clock = clocks_[size_t(link)];
    advance(clock, now);
    bytes = std::max(0.0, clock.hung[heap_place_[flow]].finish - clock.served);
    clock.hung.erase(heap_place_[flow], heap_place_);
    if (!from_ground_) take_off(flow, link);
  }
  forget(flow);
  return bytes;
}

void MaxMin::take_finished(Time now, std::vector<FlowId>& finished) {
  const size_t finished_before = finished.size();
  CHECK(finishes_.least() >= now.ps);  // nobody is served for more than a picosecond after the last byte
  finishes_.visit_up_to(now.ps, [&](size_t link) {
    Clock& clock = clocks_[link];
    advance(clock, now);
    const double done = clock.served + clock.level * kGracePs;
    const double rounding = kServedRounding * clock.served;
    CHECK(!clock.hung.empty());
    CHECK(clock.hung.top().finish <= done + rounding);  // all bytes have been delivered,
    CHECK(clock.hung.top().finish >= done - clock.level * (1 + 2 * kGracePs) - rounding);  // and no more
    do {
      finished.push_back(clock.hung.top().flow);
      clock.hung.erase(0, heap_place_);
    } while (!clock.hung.empty() && clock.hung.top().finish <= done);
  });
  if (is_most(finished.size() - finished_before, live_)) from_ground_ = true;
  for (size_t i = finished_before; i < finished.size(); ++i) {
    const size_t flow = index(finished[i]);
    if (!from_ground_) take_off(flow, bottleneck_[flow]);
    forget(flow);
  }
}

void MaxMin::solve(Time now) {
  work_ = 0;
  from_ground_ = from_ground_ || is_most(fresh_.size(), live_);
  if (!from_ground_) {
    for (const Fresh& fresh : fresh_) put_on(fresh.flow, fresh.bytes, now);
    fresh_.clear();
    from_ground_ = !level_links(now);
    abandoned_solves_ += uint64_t(from_ground_);
  }
  if (from_ground_) solve_from_ground(now);
  if (++solves_ % kSolvesPerReview == 0) review_watches();
  retime();
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
  if (clock.hung.empty() || clock.level == 0) return kNever;
  const double left_ps = std::max(1.0, std::ceil((clock.hung.top().finish - clock.served) / clock.level - kGracePs));
  return left_ps < kPicosecondsMax - double(clock.at.ps) ? clock.at + Duration{int64_t(left_ps)} : kNever;
}

void MaxMin::touch(int32_t link) {
  if (is_touched_[size_t(link)]) return;
  is_touched_[size_t(link)] = true;
  touched_.push_back(link);
}

void MaxMin::retime() {
  for (const int32_t link : touched_) {
    is_touched_[size_t(link)] = false;
    finishes_.set(size_t(link), next_finish_of(clocks_[size_t(link)]).ps);
    watch_instead(link);
  }
  touched_.clear();
  finishes_.refresh();
}

Rate MaxMin::rate(FlowId flow) const {
  const int32_t link = bottleneck_[index(flow)];
  return {link == kNoLink ? 0 : double(loads_[size_t(link)].level) * unit_ / kSecondsPerPicosecond};
}

void MaxMin::check_certificate() const {
  CHECK(fresh_.empty());
  size_t crossings = 0;
  size_t hung = 0;
  for (const int32_t link : used_) {
    const Load& load = loads_[size_t(link)];
    const int64_t level = loads_[size_t(link)].level;
    int64_t rates = 0;
    int64_t others = 0;
    int64_t fastest = 0;
    for (const Crossing& crossing : crossing_[size_t(link)]) {
      const int32_t on = bottleneck_[crossing.flow];
      CHECK(on != kNoLink);
      CHECK(on == crossing.bottleneck);
      rates += loads_[size_t(on)].level;
      if (on == link) continue;
      others += watched_[size_t(link)] ? clocks_[size_t(on)].published : loads_[size_t(on)].level;
      fastest = std::max(fastest, loads_[size_t(on)].level);
    }
    crossings += crossing_[size_t(link)].size();
    hung += clocks_[size_t(link)].hung.size();
    CHECK(others == load.others);
    CHECK(watched_[size_t(link)] || fastest <= load.fastest);
    const double rounding = kCertificateUnits + double(crossing_[size_t(link)].size());
    CHECK(double(rates) <= double(clocks_[size_t(link)].capacity) * (1 + kCertificateTolerance) + rounding);
    if (clocks_[size_t(link)].hung.empty()) continue;
    CHECK(double(rates) >=
          double(clocks_[size_t(link)].capacity) * (1 - kCertificateTolerance) - rounding);  // they hang on full links,
    CHECK(double(fastest) <= double(level) * (1 + kCertificateTolerance) + kCertificateUnits);  // where none is faster
  }
  CHECK(crossings == live_hops_);
  CHECK(hung == live_);
}

}  // namespace moesim
