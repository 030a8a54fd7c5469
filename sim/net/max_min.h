// Max-min fair rates of fluid flows over links, kept up to date as flows come and go. Knows no simulator.
//
// What is kept. A rate vector is max-min fair exactly when no link is over its capacity and every flow crosses a full
// link on which none is faster. So each flow hangs on one such link, its bottleneck, and all that hang on a link have
// the same rate: its level. A link knows its level, how many hang on it, and the sum of the rates of the other flows
// that cross it, of which it knows an upper bound of the fastest. Each link has a clock of the bytes that one flow of
// it has been served, and a heap of its flows by the reading at which each is done; so a new level costs nothing per
// flow. What it costs is one addition for each neighbour, the links that its flows cross: how many of them cross which
// link is counted.
//
// What happens when flows come and go. Links whose sum or number of flows has changed are worked off by rising level,
// until none is left:
// - take over: where a flow that hangs elsewhere is faster than the link's level would be, it hangs here from now on,
//   the fastest first, as long as they are above the level that rises with each;
// - set the level: what the others leave, divided by the flows that hang here; the change is added to the sums of the
//   neighbours, which then wait to be worked off if flows hang on them or they are over their capacity.
// When none is left, every link is full that flows hang on, and none of its flows is slower than another: fair.
//
// What makes it sure. Levels are whole multiples of a unit of rate, so that sums are exact and never drift. A solve
// that has worked more than a few times what it would take to start from the ground, does that: water rises in all
// links at once, and each flow hangs on the link that fills first. So does one where most flows have changed. That is
// exact by construction and ends, so every solve does.
//
// Links that are far from full need not be neighbours. Where nothing hangs on a link and many flows cross it, it is
// only watched: its sum is an upper bound, made of levels rounded up by a few percent, and changes when one leaves that
// band.
//
// Costs: a solve O(links that change level x their neighbours + flows that change bottleneck x path length); memory
// O(live flows x path length); no allocation once there have been as many flows before.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "sim/net/finish_heap.h"
#include "sim/net/flow_table.h"
#include "sim/net/level_queue.h"
#include "sim/net/link.h"
#include "sim/net/min_tree.h"
#include "sim/net/neighbour_counts.h"
#include "sim/net/tournament.h"

namespace moesim {

class MaxMin {
 public:
  static constexpr Time kNever{MinTree::kOut};

  explicit MaxMin(std::span<const Link> links);

  // Adds a flow, which has no rate until the next solve(). The path may cross a link only once.
  void add(FlowId flow, Path path, Bytes bytes) { add(flow, path, double(bytes.count)); }
  void add(FlowId flow, Path path, double bytes);

  // Takes a flow away that is not done, and answers how many of its bytes are left. Holds from the next solve().
  double take_out(FlowId flow, Time now);

  // Holds from the next solve(). At a capacity of 0 flows have no rate, and are not done before it is more.
  void set_capacity(LinkId link, Rate capacity);

  // Gives every flow its max-min fair rate from now on.
  void solve(Time now);

  // When the first flow will be done at the present rates, rounded up to whole picoseconds.
  Time next_finish() const { return {finishes_.least()}; }

  // Removes the flows that are done now, and appends them to `finished`. The rates of the others hold until solve().
  void take_finished(Time now, std::vector<FlowId>& finished);

  Rate rate(FlowId flow) const;
  size_t live() const { return live_; }

  // CHECKs what decides that rates are max-min fair, to 1e-9: no link is over its capacity, and every flow crosses a
  // full link on which none is faster. Also recounts all sums. Costs about as much as a solve from the ground.
  void check_certificate() const;

  // How many solves started from the ground, and how many of those because they had worked too long.
  uint64_t full_solves() const { return full_solves_; }
  uint64_t abandoned_solves() const { return abandoned_solves_; }

  // Lets a solve work at most so many steps before it starts from the ground. For tests: it changes no answer.
  void limit_work(size_t steps) { work_max_ = steps; }

 private:
  static constexpr int32_t kNoLink = -1;
  static constexpr int64_t kUnlimited = int64_t{1} << 61;  // the level of a link on which nothing hangs

  // What is read and written most: when the level of a neighbour changes. All in units of rate.
  struct Load {
    int64_t others = 0;      // rates of the flows that cross it and hang elsewhere; of a watched link an upper bound
    int64_t mark_above = 0;  // where `others` has changed and is more than this, the link must be worked off
    int64_t fastest = 0;     // upper bound of the rates in `others`
    int64_t level = kUnlimited;
  };
  // What is needed besides when the link itself is worked off.
  struct Clock {
    int64_t capacity = 0;
    int64_t published = 0;  // a level that is not above this need not be told to watched links
    double level = 0;       // the rate of each flow that hangs here, in bytes per picosecond
    double served = 0;      // bytes served to each flow that hangs here, up to `at`
    Time at;
    FinishHeap hung;
  };
  struct Crossing {
    uint32_t flow;
    int32_t bottleneck;  // of the flow: looked at far more often than it changes
  };
  struct Fresh {
    uint32_t flow;
    double bytes;
  };
  struct Candidate {
    int64_t rate;
    uint32_t flow;
  };

  // max_min.cpp: flows and clocks.
  void make_room_for(size_t flow, size_t hops);
  int32_t* crossed_of(size_t flow) { return crossed_.data() + flow * hops_max_; }
  std::span<const int32_t> path_of(size_t flow) const { return {crossed_.data() + flow * hops_max_, hops_[flow]}; }
  void choose_unit(double capacity_max);
  int64_t in_units(double capacity) const;
  void cross(size_t flow);
  void uncross(size_t flow);
  void forget(size_t flow);
  void take_off(size_t flow, int32_t link);
  void put_on(size_t flow, double bytes, Time now);
  static void advance(Clock& clock, Time now);
  static Time next_finish_of(const Clock& clock);
  void touch(int32_t link);
  void retime();

  // max_min_levels.cpp: links that have changed, until none is left.
  int64_t level_wanted(int32_t link) const;
  void mark(int32_t link);
  void unmark(int32_t link);
  void enqueue_marked();
  bool level_links(Time now);
  void level_off(int32_t link, Time now);
  void set_level(int32_t link, int64_t level, Time now);
  bool take_over(int32_t link, int64_t level, Time now);
  int64_t gather_faster(int32_t link, int64_t level);
  void move(size_t flow, int32_t to, Time now);

  // max_min_ground.cpp: all links, from the ground.
  void solve_from_ground(Time now);
  void clear_links(Time now);
  void fill_links(Time now);
  void fill(int32_t link, Time now);
  void count_neighbours();

  // max_min_watch.cpp: links that are far from full.
  void publish(int32_t link);
  bool watch(int32_t link);
  void watch_instead(int32_t link);
  void review_watches();
  void neighbour_again(int32_t link);

  // Of links.
  double unit_ = 0;                   // bytes per picosecond, a power of two
  std::vector<double> bytes_per_ps_;  // capacity
  std::vector<Load> loads_;
  std::vector<uint8_t> watched_;
  std::vector<Clock> clocks_;
  NeighbourCounts neighbours_;
  std::vector<std::vector<Crossing>> crossing_;  // the flows that cross it
  std::vector<int32_t> used_;                    // links that flows cross
  std::vector<uint32_t> used_place_;
  std::vector<int32_t> marked_;  // to be put into the queue
  LevelQueue queue_;
  std::vector<int32_t> touched_;  // whose first finish may have changed
  std::vector<uint8_t> is_touched_;
  MinTree finishes_;  // first finish of each link

  // Of flows.
  std::vector<int32_t> bottleneck_;  // on which it hangs
  std::vector<uint32_t> heap_place_;
  std::vector<uint16_t> hops_;     // of its path
  std::vector<int32_t> crossed_;   // links of its path: hops_max_ for each flow
  std::vector<uint32_t> place_;    // of each hop in crossing_[link]
  std::vector<Fresh> fresh_;       // to be hung in the next solve
  std::vector<Candidate> faster_;  // scratch of take_over()
  size_t hops_max_ = 4;
  size_t live_ = 0;
  size_t live_hops_ = 0;

  Tournament fills_next_;      // scratch of solve_from_ground()
  std::vector<int32_t> open_;  // of each link: flows that cross it and do not hang yet; 0 between solves
  bool from_ground_ = false;   // the next solve starts there
  size_t watches_ = 0;
  size_t work_ = 0;  // steps of this solve
  size_t work_max_ = std::numeric_limits<size_t>::max();
  uint64_t solves_ = 0;
  uint64_t full_solves_ = 0;
  uint64_t abandoned_solves_ = 0;
};

}  // namespace moesim
