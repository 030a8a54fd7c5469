// A list of flows over a network that depend on nothing but their start, and when each of them is done.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "sim/core/simulator.h"
#include "sim/net/message_network.h"

namespace moesim {

// A flow as it is put into a list or taken out of it; the path belongs to whoever holds it, such as the list.
struct TimedFlow {
  Path path;
  Bytes bytes;
  Time start;
};

// Flows by the million: all paths in one array, and 20 bytes a flow beside it.
class FlowList {
 public:
  FlowList() = default;
  struct Listed {
    std::vector<LinkId> path;
    Bytes bytes;
    Time start;
  };
  FlowList(std::initializer_list<Listed> flows);

  void reserve(size_t flows, size_t hops);  // hops of all paths together
  void push_back(const TimedFlow& flow);    // copies the path

  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  // The path stays where it is until the next push_back().
  TimedFlow operator[](size_t flow) const { return {path(flow), bytes_[flow], start(flow)}; }
  Path path(size_t flow) const { return {hops_.data() + path_begin_[flow], hops_.data() + path_begin_[flow + 1]}; }
  Bytes bytes(size_t flow) const { return bytes_[flow]; }
  Time start(size_t flow) const { return starts_.empty() ? Time{} : starts_[flow]; }
  void set_bytes(size_t flow, Bytes bytes) { bytes_[flow] = bytes; }
  void set_start(size_t flow, Time start);

  class Iterator {
   public:
    Iterator(const FlowList& list, size_t flow) : list_(&list), flow_(flow) {}
    TimedFlow operator*() const { return (*list_)[flow_]; }
    Iterator& operator++() { return ++flow_, *this; }
    bool operator!=(const Iterator& other) const { return flow_ != other.flow_; }

   private:
    const FlowList* list_;
    size_t flow_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  std::vector<LinkId> hops_;
  std::vector<uint32_t> path_begin_ = {0};  // of each flow in hops_, and the end of the last
  std::vector<Bytes> bytes_;
  std::vector<Time> starts_;  // none where all start at 0, as in a collective
};

struct FlowProblem {
  std::vector<Link> links;
  FlowList flows;
};

struct FlowTimes {
  std::vector<Time> finish;  // of each flow
  Time makespan;             // the last of them
  std::vector<LinkUse> use;  // of each link
  uint64_t digest = 0;
  uint64_t events = 0;  // of the engine
  uint64_t solves = 0;  // instants at which rates were solved for; 0 where the network has no rates
};

// The recorder, if there is one, is told what the links carry.
FlowTimes solve_flows(const FlowProblem& problem, const NetworkOptions& options, LinkRecorder* recorder = nullptr);
inline FlowTimes solve_flows(const FlowProblem& problem, Fidelity fidelity) {
  return solve_flows(problem, NetworkOptions{.fidelity = fidelity});
}

// The same, with links that change, and over paths that a policy chooses from the wiring, whose ends are the first and
// the last link of each path; without wiring flows keep to the paths that are listed.
FlowTimes solve_flows(const FlowProblem& problem, const MessageNetworkOptions& options, PathFinder* wiring,
                      LinkRecorder* recorder = nullptr);

// Completion times (finish - start), in rising order.
std::vector<Duration> sorted_completions(const FlowProblem& problem, const FlowTimes& times);

// The element ceil(q n) - 1 of n sorted completion times; zero where there is none.
Duration quantile(const std::vector<Duration>& sorted, double q);

}  // namespace moesim
