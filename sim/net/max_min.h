// Max-min fair rates of fluid flows over links, kept up to date as flows come and go. Knows no simulator.
//
// How it works. Water rises in all links at once: the link with the least room per open flow fills first; its open
// flows are frozen at that level, leave the others their room, and the water rises on. The order in which links fill
// is kept. A flow hangs on the link that froze it, and each such link has a clock of the bytes that one flow of it
// has been served, so that a new rate costs nothing per flow: a flow is done when the clock reaches its number.
//
// What makes it fast. Nothing below the level at which a flow was frozen depends on that flow. So the state of the
// links is saved now and then on the way up, and when flows come and go the water rises again from the highest saved
// state that none of them touches. And mostly the links that filled last time fill again: only those, and the links of
// new flows, are looked at on the way; where another turns out to be over its capacity it is expected to fill too, and
// the water rises once more. Each solve is exact and ends after a bounded number of steps, by construction.
//
// Cost of a solve: O(open flows x path length + active links + links that fill x log links), and no allocation once
// there have been as many flows before.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "sim/net/finish_heap.h"
#include "sim/net/flow_table.h"
#include "sim/net/link.h"
#include "sim/net/tournament.h"

namespace moesim {

class MaxMin {
 public:
  static constexpr Time kNever{std::numeric_limits<int64_t>::max()};

  explicit MaxMin(std::span<const Link> links);

  // Adds a flow, which has no rate until the next solve(). The path may cross a link only once.
  void add(FlowId flow, Path path, Bytes bytes) { add(flow, path, double(bytes.count)); }
  void add(FlowId flow, Path path, double bytes);

  // Takes a flow away that is not done, and answers how many of its bytes are left. Holds from the next solve().
  double take_out(FlowId flow, Time now);

  // Holds from the next solve(). At a capacity of 0 flows have no rate.
  void set_capacity(LinkId link, Rate capacity);

  // Gives every flow its max-min fair rate from now on.
  void solve(Time now);

  // When the first flow will be done at the present rates, rounded up to whole picoseconds.
  Time next_finish() const;

  // Removes the flows that are done now, and appends them to `finished`.
  void take_finished(Time now, std::vector<FlowId>& finished);

  Rate rate(FlowId flow) const;
  size_t live() const { return live_; }

  // CHECKs what decides that rates are max-min fair, to 1e-9: no link is over its capacity, and every flow crosses a
  // full link on which none is faster. Costs about as much as a solve from the ground.
  void check_certificate() const;

 private:
  static constexpr int32_t kNoLink = -1;

  // What the rising water knows of a link. Rates are in bytes per picosecond throughout.
  struct Share {
    double room = 0;   // capacity that no frozen flow uses
    int32_t open = 0;  // flows that are not frozen yet
  };
  // The state of all active links after some links have filled.
  struct Saved {
    std::vector<Share> shares;
    uint64_t step = 0;  // the number that the next link to fill would get
    size_t filled = 0;  // links filled so far
    size_t frozen = 0;  // flows frozen so far
    double level = 0;   // of the link filled last
  };
  struct Filled {
    int32_t link;
    Time next_finish;
  };
  struct Clock {
    double level = 0;   // the rate of each flow that hangs here
    double served = 0;  // bytes served to each flow that hangs here, up to `at`
    Time at;
    FinishHeap hung;
  };
  struct Crossing {
    uint32_t flow;
    uint32_t hop;
  };

  void make_room_for(size_t flow, size_t hops);
  void activate(int32_t link);
  void deactivate(int32_t link);
  bool unaffected_by(const Saved& saved, Path path) const;
  void remove(size_t flow);

  void expect(int32_t link);
  bool expect_overfull();
  void resume(const Saved& saved);
  void rise(Time now);
  void gather_open(int32_t link);
  size_t fill(int32_t link, double level, Time now);
  void hang(size_t flow, int32_t link, Time now);
  void save(double level, size_t open);
  static void advance(Clock& clock, Time now);
  static Time next_finish_of(const Clock& clock);
  int32_t* crossed_of(size_t flow) { return crossed_.data() + flow * hops_max_; }

  // Of links.
  std::vector<double> capacity_;
  std::vector<Share> shares_;
  std::vector<Clock> clocks_;
  std::vector<std::vector<Crossing>> crossing_;
  std::vector<int32_t> active_;  // links that flows cross
  std::vector<uint32_t> active_place_;
  std::vector<int32_t> expected_;  // to fill in the next solve
  std::vector<uint8_t> is_expected_;
  Tournament fills_next_;       // expected links by room per open flow when last looked at
  std::vector<Filled> filled_;  // in the order in which they fill, by rising level

  // Of flows. A flow is open in a solve if its step lies in [open_from_, open_until_).
  std::vector<uint64_t> step_;       // in which it was frozen
  std::vector<int32_t> bottleneck_;  // on which it hangs
  std::vector<uint32_t> heap_place_;
  std::vector<double> bytes_;
  std::vector<uint32_t> hops_;      // of its path
  std::vector<int32_t> crossed_;    // links of its path: hops_max_ for each flow, the rest nowhere_
  std::vector<uint32_t> place_;     // of each hop in crossing_[link]
  std::vector<uint32_t> freezing_;  // scratch: the open flows of the link that is being filled
  size_t hops_max_ = 4;
  size_t live_ = 0;
  size_t live_hops_ = 0;

  std::vector<Saved> saved_;  // the first is the ground: nothing filled; only saves_ of them are in use
  size_t saves_ = 1;
  uint64_t next_step_ = 0;
  uint64_t open_from_ = 0;
  uint64_t open_until_ = 0;
  int32_t nowhere_;  // one past the last link: pads short paths
};

}  // namespace moesim
