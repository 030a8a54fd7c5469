// A list of flows over a network that depend on nothing but their start, and when each of them is done.
#pragma once

#include <vector>

#include "sim/core/simulator.h"
#include "sim/net/network.h"

namespace moesim {

struct TimedFlow {
  std::vector<LinkId> path;
  Bytes bytes;
  Time start;
};

struct FlowProblem {
  std::vector<Link> links;
  std::vector<TimedFlow> flows;
};

struct FlowTimes {
  std::vector<Time> finish;  // of each flow
  Time makespan;             // the last of them
  std::vector<LinkUse> use;  // of each link
  uint64_t digest = 0;
};

FlowTimes solve_flows(const FlowProblem& problem, Fidelity fidelity);

}  // namespace moesim
