// How far the answers of a flow network with a tolerance are off.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/net/flow_problem.h"

namespace moesim {

inline FlowTimes solve_within(const FlowProblem& problem, double tolerance) {
  return solve_flows(problem, NetworkOptions{.fidelity = Fidelity::flow, .rate_tolerance = tolerance});
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
