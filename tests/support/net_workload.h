// A workload for the network's tests: the all-to-all of an expert-parallel step.
#pragma once

#include <vector>

#include "sim/core/random.h"
#include "sim/net/flow_problem.h"

namespace moesim {

// One dispatch all-to-all of 64 GPUs, 8 to a node, with log-normal skew of the destinations and of the pairs: inside
// a node GPU -> NVSwitch -> GPU, else GPU -> PCIe -> NIC -> leaf -> spine -> leaf -> NIC -> PCIe -> GPU. All 4,032
// sizes differ.
inline FlowProblem expert_parallel_workload(uint64_t seed) {
  constexpr int kGpus = 64, kGpusANode = 8, kNodesALeaf = 2, kSpines = 16;
  constexpr int kLeaves = kGpus / kGpusANode / kNodesALeaf;
  FlowProblem problem;
  const auto add = [&](int links, double gigabytes_per_s, int64_t nanoseconds) {
    const auto first = int(problem.links.size());
    problem.links.resize(problem.links.size() + size_t(links), {Rate{gigabytes_per_s * 1e9}, nanoseconds * 1_ns});
    return first;
  };
  const int nvlink_up = add(kGpus, 450, 300), nvlink_down = add(kGpus, 450, 300);
  const int pcie_up = add(kGpus, 64, 250), pcie_down = add(kGpus, 64, 250);
  const int nic_up = add(kGpus, 50, 600), nic_down = add(kGpus, 50, 600);
  const int leaf_up = add(kLeaves * kSpines, 50, 300), leaf_down = add(kLeaves * kSpines, 50, 300);

  Rng random(seed);
  std::vector<double> popularity(kGpus);
  for (double& weight : popularity) weight = random.log_normal(0, 0.5);
  for (int from = 0; from < kGpus; ++from)
    for (int to = 0; to < kGpus; ++to) {
      if (from == to) continue;
      const auto bytes = int64_t(200e3 * popularity[size_t(to)] * random.log_normal(0, 0.3)) + 1;
      const int from_leaf = from / kGpusANode / kNodesALeaf;
      const int to_leaf = to / kGpusANode / kNodesALeaf;
      const int spine = int(splitmix64(uint64_t(from * kGpus + to)) % kSpines);
      std::vector<int> path;
      if (from / kGpusANode == to / kGpusANode)
        path = {nvlink_up + from, nvlink_down + to};
      else if (from_leaf == to_leaf)
        path = {pcie_up + from, nic_up + from, nic_down + to, pcie_down + to};
      else
        path = {
            pcie_up + from, nic_up + from, leaf_up + from_leaf * kSpines + spine, leaf_down + to_leaf * kSpines + spine,
            nic_down + to,  pcie_down + to};
      std::vector<LinkId> links;
      for (const int link : path) links.push_back(LinkId(link));
      problem.flows.push_back({links, Bytes{bytes}, Time{}});
    }
  return problem;
}

}  // namespace moesim
