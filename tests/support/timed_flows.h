// Runs the flows of a problem over a flow network with a tolerance, and keeps what comparing runs needs.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/core/check.h"
#include "sim/core/simulator.h"
#include "sim/net/flow_network.h"
#include "sim/net/flow_problem.h"

namespace moesim {

struct TolerantTimes {
  std::vector<Time> finish;  // of each flow
  std::vector<LinkUse> use;  // of each link
  Time makespan;
  uint64_t solves = 0;
  uint64_t events = 0;
  uint64_t digest = 0;
};

// Starts each flow when it is due; those that are due together, by one event.
class TimedFlows {
 public:
  TimedFlows(const FlowProblem& problem, double tolerance)
      : problem_(problem), network_(sim_, problem.links, {&TimedFlows::done, this}, {tolerance}) {
    times_.finish.resize(problem.flows.size());
    for (size_t flow = 0; flow < problem.flows.size(); ++flow)
      if (flow == 0 || problem.flows[flow].start != problem.flows[flow - 1].start)
        sim_.at<&TimedFlows::start_from>(problem.flows[flow].start, *this, flow);
  }

  FlowNetwork& network() { return network_; }
  Simulator& sim() { return sim_; }

  TolerantTimes run() {
    sim_.run();
    CHECK(network_.live() == 0);
    for (size_t link = 0; link < problem_.links.size(); ++link) times_.use.push_back(network_.use(LinkId(link)));
    times_.solves = network_.solves();
    times_.events = sim_.events();
    times_.digest = sim_.digest.value();
    return std::move(times_);
  }

 private:
  void start_from(uint64_t first) {
    for (size_t flow = first; flow < problem_.flows.size() && problem_.flows[flow].start == sim_.now(); ++flow)
      network_.start(problem_.flows[flow].path, problem_.flows[flow].bytes, flow);
  }

  static void done(void* object, uint64_t flow) {
    TimedFlows& flows = *static_cast<TimedFlows*>(object);
    flows.times_.finish[flow] = flows.sim_.now();
    flows.times_.makespan = std::max(flows.times_.makespan, flows.sim_.now());
  }

  const FlowProblem& problem_;
  Simulator sim_;
  FlowNetwork network_;
  TolerantTimes times_;
};

inline TolerantTimes solve_within(const FlowProblem& problem, double tolerance) {
  return TimedFlows(problem, tolerance).run();
}

// The completion time (finish - start), in seconds, that this part of the flows stays at or below.
inline double completion_s(const FlowProblem& problem, const std::vector<Time>& finish, double part) {
  std::vector<double> taken;
  for (size_t i = 0; i < finish.size(); ++i) taken.push_back((finish[i] - problem.flows[i].start).seconds());
  const auto place = taken.begin() + ptrdiff_t(std::ceil(part * double(taken.size()))) - 1;
  std::nth_element(taken.begin(), place, taken.end());
  return *place;
}

// By how much completion times differ from exact ones, relative to these.
struct FlowErrors {
  double makespan = 0;
  double p99 = 0;    // of the completion time that 99 % of the flows stay below
  double of_99 = 0;  // that 99 % of the flows stay below
  double largest = 0;
};

inline FlowErrors flow_errors(const FlowProblem& problem, const std::vector<Time>& exact,
                              const std::vector<Time>& finish) {
  std::vector<double> errors;
  for (size_t i = 0; i < finish.size(); ++i) {
    const double taken = std::max(1e-12, (exact[i] - problem.flows[i].start).seconds());
    errors.push_back(std::abs((finish[i] - exact[i]).seconds()) / taken);
  }
  FlowErrors result;
  const double last = std::max_element(exact.begin(), exact.end())->seconds();
  result.makespan = std::abs(std::max_element(finish.begin(), finish.end())->seconds() / last - 1);
  result.p99 = std::abs(completion_s(problem, finish, 0.99) / completion_s(problem, exact, 0.99) - 1);
  const auto place = errors.begin() + ptrdiff_t((99 * errors.size() + 99) / 100) - 1;
  std::nth_element(errors.begin(), place, errors.end());
  result.of_99 = *place;
  result.largest = *std::max_element(errors.begin(), errors.end());
  return result;
}

}  // namespace moesim
