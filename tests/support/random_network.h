// Random networks for tests: capacities over six orders of magnitude or tied, any paths, bursts and staggered starts.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <vector>

#include "sim/core/math.h"
#include "sim/core/random.h"
#include "sim/net/flow_problem.h"

namespace moesim {

inline FlowProblem random_problem(Rng& rng, int64_t links_max, int64_t flows_max) {
  FlowProblem problem;
  const bool tied = rng.uniform() < 0.4;  // few sizes, capacities and latencies, so that much happens at once
  const bool burst = rng.uniform() < 0.4;
  const int64_t links = rng.between(1, links_max);
  for (int64_t i = 0; i < links; ++i) {
    const double capacity = tied ? 1e9 * double(rng.between(1, 3)) : exact_pow(10, 6 + 6 * rng.uniform());
    problem.links.push_back({Rate{capacity}, Duration{tied ? 1'000'000 : rng.between(0, 2'000'000)}});
  }
  std::vector<LinkId> all;
  for (int64_t i = 0; i < links; ++i) all.push_back(LinkId(i));
  int64_t now = 0;
  for (int64_t flows = rng.between(1, flows_max); flows > 0; --flows) {
    rng.shuffle(std::span(all));
    const int64_t hops = rng.between(1, std::min<int64_t>(links, 7));
    const int64_t bytes = tied ? 1000 * rng.between(1, 4) : int64_t(exact_pow(10, 7 * rng.uniform()));
    if (!burst) now += rng.between(0, 1) * rng.between(0, 20'000'000);
    problem.flows.push_back({{all.begin(), all.begin() + hops}, Bytes{bytes}, Time{now}});
  }
  return problem;
}

// Calls test(rng) for that many seeds, and names the seed when something fails.
template <class Test>
void for_each_seed(uint64_t seeds, Test test) {
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    test(rng);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace moesim
