// Max-min fair flows solved the plain way: at each instant at which a flow enters or leaves, all water levels from the
// ground, in long double and in continuous time. Slow and simple on purpose: it is what the network is judged by.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "sim/net/flow_problem.h"
#include "sim/net/max_min.h"

namespace moesim {

// A rate vector is max-min fair exactly when no link is over capacity and every flow crosses a full link on which no
// other flow is faster. So this checks a solution completely, without a second solver.
inline void expect_max_min_fair(const FlowProblem& problem, const std::vector<size_t>& live, const MaxMin& rates) {
  std::vector<double> load(problem.links.size(), 0), fastest(problem.links.size(), 0);
  for (const size_t flow : live)
    for (const LinkId link : problem.flows[flow].path) {
      const double rate = rates.rate(FlowId(flow)).bytes_per_s;
      load[index(link)] += rate;
      fastest[index(link)] = std::max(fastest[index(link)], rate);
    }
  for (size_t link = 0; link < load.size(); ++link)
    EXPECT_LE(load[link], problem.links[link].capacity.bytes_per_s * (1 + 1e-9)) << "link " << link;
  for (const size_t flow : live) {
    const double rate = rates.rate(FlowId(flow)).bytes_per_s;
    const bool has_bottleneck =
        std::any_of(problem.flows[flow].path.begin(), problem.flows[flow].path.end(), [&](LinkId link) {
          return load[index(link)] >= problem.links[index(link)].capacity.bytes_per_s * (1 - 1e-9) &&
                 fastest[index(link)] <= rate * (1 + 1e-9);
        });
    EXPECT_TRUE(has_bottleneck) << "flow " << flow << " at " << rate;
  }
}

// The rate of each live flow, in bytes per second: progressive filling.
inline std::vector<long double> reference_rates(const FlowProblem& problem, const std::vector<size_t>& live) {
  std::vector<long double> room;
  for (const Link& link : problem.links) room.push_back(link.capacity.bytes_per_s);
  std::vector<int> open(problem.links.size(), 0);
  for (const size_t flow : live)
    for (const LinkId link : problem.flows[flow].path) ++open[index(link)];
  std::vector<long double> rates(live.size(), -1);
  for (size_t frozen = 0; frozen < live.size();) {
    size_t fullest = 0;
    long double level = std::numeric_limits<long double>::infinity();
    for (size_t link = 0; link < room.size(); ++link)
      if (open[link] > 0 && room[link] / open[link] < level) level = room[fullest = link] / open[link];
    for (size_t i = 0; i < live.size(); ++i) {
      const Path path = problem.flows.path(live[i]);
      if (rates[i] >= 0 || std::find(path.begin(), path.end(), LinkId(fullest)) == path.end()) continue;
      rates[i] = level;
      ++frozen;
      for (const LinkId link : path) {
        room[index(link)] -= level;
        --open[index(link)];
      }
    }
  }
  return rates;
}

// When each flow is done, in seconds.
inline std::vector<long double> reference_finish_s(const FlowProblem& problem) {
  constexpr long double kNever = std::numeric_limits<long double>::infinity();
  const size_t flows = problem.flows.size();
  std::vector<long double> finish(flows), left(flows), enters(flows);
  std::vector<size_t> order(flows), live;
  for (size_t flow = 0; flow < flows; ++flow) {
    const TimedFlow f = problem.flows[flow];
    left[flow] = static_cast<long double>(f.bytes.count);
    enters[flow] = static_cast<long double>((f.start + path_latency(problem.links, f.path)).ps) * 1e-12L;
  }
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return enters[a] < enters[b]; });

  long double now = 0;
  for (size_t next = 0; next < flows || !live.empty();) {
    const std::vector<long double> rates = reference_rates(problem, live);
    long double until = next < flows ? enters[order[next]] : kNever;
    for (size_t i = 0; i < live.size(); ++i) until = std::min(until, now + left[live[i]] / rates[i]);
    for (size_t i = 0; i < live.size(); ++i) left[live[i]] -= rates[i] * (until - now);
    now = until;
    for (; next < flows && enters[order[next]] <= now; ++next) live.push_back(order[next]);
    std::erase_if(live, [&](size_t flow) {
      if (left[flow] > 1e-9L) return false;  // of a byte: what rounding leaves of a flow that is done
      finish[flow] = now;
      return true;
    });
  }
  return finish;
}

}  // namespace moesim
