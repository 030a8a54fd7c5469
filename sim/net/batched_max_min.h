// Max-min fair rates within a tolerance, for many flows at once: completions are gathered over windows, and rates are
// solved for once a window. Has the interface of MaxMin, and knows no simulator.
//
// Windows. Between two solves every flow runs at the rate that the first of them gave it, and is done when it has run
// out of bytes. The next solve comes with the last completion of a window, which reaches from the first completion to a
// small part of the time for which the youngest flow has been there: no rate is ever older than that part of the life
// of any flow. Those who stay have the new rates from the middle of the window on, its completions weighted by rate,
// which makes most of the error cancel. Flows that come, capacities that change and flows that are taken out are solved
// for at once.
//
// A solve. The share of a link is its room divided by its open flows. In each round the links are final none of whose
// open flows crosses a link with a share smaller by more than a part of the tolerance; the open flows of all final
// links are frozen, each at the smallest share that it crosses, and take it out of the room of their links. No link is
// ever given more than it has, whatever the order; and every round freezes a flow, since the smallest of all shares is
// final.
//
// What makes it fast. Flows lie in memory in the order in which they were frozen last, each with its path, and a solve
// streams over them: there are no lists per link and no heaps. The rounds of the last solve guide the next one: its
// n-th round looks only at the flows of the n-th round of the last, and at those that were found not to be final yet.
// A link is final only when all its open flows are being looked at, so that a guide that has become wrong costs time
// and never the answer.
//
// Cost of a solve: O(live flows x path length + rounds x active links); 16 bytes a flow and 4 for each link of the
// longest path.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "sim/net/flow_table.h"
#include "sim/net/link.h"

namespace moesim {

class BatchedMaxMin {
 public:
  static constexpr Time kNever{std::numeric_limits<int64_t>::max()};

  BatchedMaxMin(std::span<const Link> links, double tolerance);

  // Adds a flow, which has no rate until the next solve().
  void add(FlowId flow, Path path, double bytes);

  // Takes a flow away that is not done, and answers how many of its bytes are left. Holds from the next solve().
  double take_out(FlowId flow, Time now);

  // Holds from the next solve(). At a capacity of 0 flows have no rate.
  void set_capacity(LinkId link, Rate capacity);

  // Gives every flow a rate from now on, if a window has ended or something else than completions has happened.
  void solve(Time now);

  // When the next flow will be done at the present rates, rounded up to whole picoseconds.
  Time next_finish() const;

  // Removes the flows that are done now, and appends them to `finished`.
  void take_finished(Time now, std::vector<FlowId>& finished);

  Rate rate(FlowId flow) const;
  size_t live() const { return live_; }
  uint64_t solves() const { return solves_; }

  // Flows that have been added since the last solve.
  size_t fresh() const { return waiting_.states.size(); }

  // Takes all flows out, those that have been added last too, and calls take(flow, path, bytes left) for each. Paths
  // are valid during the call alone.
  template <class Take>
  void take_all_out(Time now, Take take);

 private:
  struct State {
    double left;  // bytes, at the time at_
    float rate;   // bytes a picosecond
    uint32_t flow;
  };
  // Flows in an order; the path of each is hops_ link numbers, padded with nowhere_.
  struct Flows {
    std::vector<uint32_t> paths;
    std::vector<State> states;
  };
  struct Share {
    double room;     // what frozen flows have left of the capacity
    float share;     // room for each open flow
    float least;     // the smallest share that any flow looked at in this round crosses
    uint32_t open;   // flows that are not frozen yet
    uint32_t seen;   // those of them that have been looked at in this round
    uint32_t final;  // whether its open flows are frozen in this round
  };
  // What a link limits: the flows that were frozen when it became final.
  struct Limit {
    float rates;       // of all of them together
    float released;    // rates of those of its flows that are done in the window planned
    uint32_t limited;  // how many there are
    uint32_t done;     // flows of the link that are done in the window planned
  };
  struct Due {
    double after;  // picoseconds after at_
    uint32_t place;
  };

  void lengthen_paths(size_t hops);
  void push(Flows& flows, const uint32_t* path, const State& state) const;
  void begin_links();
  void run_rounds();
  template <size_t kHops>
  void run_round(size_t begin, size_t end);
  template <size_t kHops>
  void look_at(const Flows& flows, size_t begin, size_t end);
  template <size_t kHops>
  bool freeze(const uint32_t* path, const State& state);
  size_t advance(size_t begin, size_t end);
  void share_out();
  bool find_final();
  double window_end(double window) const;
  void plan_finishes();
  void release(uint32_t place);
  size_t made_late(double window) const;
  uint32_t place_of(FlowId flow) const;
  void remove(uint32_t place);
  double left_at(const State& state, Time now) const;

  double tolerance_;
  double window_least_;  // parts of the youngest flow's age at the first completion
  double window_most_;   // not much more than the last window, so that few completions are collected in vain
  uint32_t nowhere_;     // one past the last link: pads short paths
  size_t hops_ = 2;      // of the longest path
  size_t live_ = 0;
  uint64_t solves_ = 0;

  std::vector<double> capacity_;    // bytes a picosecond
  std::vector<uint32_t> crossing_;  // live flows of each link
  std::vector<Share> shares_;
  std::vector<Limit> limits_;
  std::vector<uint32_t> active_;  // links that flows cross

  Flows flows_;                     // in the order in which they were frozen
  Flows waiting_;                   // added since the last solve; during a solve, looked at and not frozen yet
  std::vector<size_t> round_ends_;  // in flows_, of the rounds of the last solve
  std::vector<size_t> round_ends_next_;
  size_t rounds_from_ground_ = 0;  // of the last solve without a guide
  size_t frozen_ = 0;              // flows that the solve has frozen so far: they lie in front

  Time at_;               // since when the present rates hold
  Time now_;              // of the last solve
  Time youngest_;         // when the last flow came
  double since_ = 0;      // picoseconds for which the last rates held
  bool changed_ = false;  // by something else than completions

  std::vector<Due> due_;  // the completions of the window, by time
  size_t due_next_ = 0;
  double first_ = 0;            // of the flows frozen so far: the first completion,
  double horizon_ = 0;          // and how far a window from there reaches
  double age_ = 0;              // of the youngest flow, at at_
  double released_ = 0;         // sum of the rates of the flows done in the window
  double released_moment_ = 0;  // and of their products with the time since at_

  mutable std::vector<uint32_t> places_;  // of flows in flows_; made when first asked for after a solve
  mutable bool places_valid_ = false;
};

template <class Take>
void BatchedMaxMin::take_all_out(Time now, Take take) {
  std::vector<LinkId> path;
  for (Flows* flows : {&flows_, &waiting_}) {
    for (size_t i = 0; i < flows->states.size(); ++i) {
      const State& state = flows->states[i];
      if (state.rate < 0) continue;
      path.clear();
      for (size_t hop = i * hops_; hop < (i + 1) * hops_; ++hop) {
        --crossing_[flows->paths[hop]];
        if (flows->paths[hop] != nowhere_) path.push_back(LinkId(flows->paths[hop]));
      }
      take(FlowId(state.flow), Path(path), flows == &flows_ ? left_at(state, now) : state.left);
    }
    flows->states.clear();
    flows->paths.clear();
  }
  round_ends_.clear();
  due_.clear();
  due_next_ = 0;
  live_ = 0;
  changed_ = true;
  places_valid_ = false;
}

}  // namespace moesim
