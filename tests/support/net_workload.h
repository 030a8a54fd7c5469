// Workloads for the network: the common work set by which network simulators are compared, and the all-to-all of an
// expert-parallel step.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "sim/core/check.h"
#include "sim/core/math.h"
#include "sim/core/random.h"
#include "sim/net/flow_problem.h"

namespace moesim {

// The plain splitmix64 generator, in which the work set is defined.
struct SplitMix64 {
  uint64_t state;
  uint64_t next() {
    const uint64_t word = splitmix64(state);
    state += 0x9E3779B97F4A7C15ull;
    return word;
  }
  double uniform() { return double(next() >> 11) * 0x1.0p-53; }
};

// Hosts under leaves, every leaf to every spine; each link 400 Gb/s and 500 ns each way.
struct LeafSpine {
  static constexpr Link kLink{Rate{50e9}, Duration{500'000}};

  LeafSpine(int host_count, int oversubscription)
      : hosts(host_count),
        hosts_a_leaf(host_count <= 64 ? 16 : 32),
        leaves(hosts / hosts_a_leaf),
        spines(hosts_a_leaf / oversubscription) {}

  int link_count() const { return 2 * hosts + 2 * leaves * spines; }
  std::vector<LinkId> path(int from, int to) const {
    const int up = from;
    const int down = hosts + to;
    const int from_leaf = from / hosts_a_leaf;
    const int to_leaf = to / hosts_a_leaf;
    if (from_leaf == to_leaf) return {LinkId(up), LinkId(down)};
    const int spine = int(splitmix64(uint64_t(from) * uint64_t(hosts) + uint64_t(to)) % uint64_t(spines));
    return {LinkId(up), LinkId(2 * hosts + from_leaf * spines + spine),
            LinkId(2 * hosts + leaves * spines + spine * leaves + to_leaf), LinkId(down)};
  }

  int hosts, hosts_a_leaf, leaves, spines;
};

inline FlowProblem all_pairs(const LeafSpine& net, const std::vector<double>& bytes_to) {
  FlowProblem problem{std::vector<Link>(size_t(net.link_count()), LeafSpine::kLink), {}};
  for (int from = 0; from < net.hosts; ++from)
    for (int to = 0; to < net.hosts; ++to)
      if (from != to) problem.flows.push_back({net.path(from, to), Bytes{int64_t(bytes_to[size_t(to)])}, Time{}});
  return problem;
}

inline FlowProblem a2a_workload(const LeafSpine& net) {
  return all_pairs(net, std::vector<double>(size_t(net.hosts), 262144.0));
}

inline FlowProblem zipf_workload(const LeafSpine& net) {
  const auto hosts = size_t(net.hosts);
  std::vector<size_t> host_of_rank(hosts);
  for (size_t i = 0; i < hosts; ++i) host_of_rank[i] = i;
  SplitMix64 random{42};
  for (size_t i = hosts - 1; i > 0; --i) std::swap(host_of_rank[i], host_of_rank[random.next() % (i + 1)]);
  double harmonic = 0;
  for (size_t k = 1; k <= hosts; ++k) harmonic += 1.0 / double(k);
  std::vector<double> bytes(hosts);
  for (size_t k = 0; k < hosts; ++k)
    bytes[host_of_rank[k]] = std::max(1.0, std::round(double(hosts) * 262144.0 * (1.0 / double(k + 1) / harmonic)));
  return all_pairs(net, bytes);
}

// The same flows, each with its size multiplied by a number between 0.5 and 1.5: no two end together.
inline FlowProblem with_random_sizes(FlowProblem problem) {
  SplitMix64 random{99};
  for (TimedFlow& flow : problem.flows)
    flow.bytes.count = int64_t(std::max(1.0, std::round(double(flow.bytes.count) * (0.5 + random.uniform()))));
  return problem;
}

// 100,000 flows with Poisson starts at 60 % load and the sizes of web search (DCTCP, SIGCOMM 2010).
inline FlowProblem stream_workload(const LeafSpine& net, int oversubscription) {
  constexpr double kBytes[] = {0, 10e3, 20e3, 30e3, 50e3, 80e3, 200e3, 1e6, 2e6, 5e6, 10e6, 30e6};
  constexpr double kShare[] = {0, .15, .20, .30, .40, .53, .60, .70, .80, .90, .97, 1.0};
  const auto size_at = [&](double share) {
    size_t i = 1;
    while (share > kShare[i]) ++i;
    const double part = (share - kShare[i - 1]) / (kShare[i] - kShare[i - 1]);
    return std::max(1.0, std::round(kBytes[i - 1] + part * (kBytes[i] - kBytes[i - 1])));
  };
  FlowProblem problem{std::vector<Link>(size_t(net.link_count()), LeafSpine::kLink), {}};
  SplitMix64 random{7};
  const double starts_per_s = 0.6 / oversubscription * net.hosts * 50e9 / 1711250;
  double now = 0;
  for (int i = 0; i < 100'000; ++i) {
    now += -exact_log(1 - random.uniform()) / starts_per_s;
    const int from = int(random.uniform() * net.hosts);
    int to = int(random.uniform() * (net.hosts - 1));
    if (to >= from) ++to;
    const auto bytes = int64_t(size_at(random.uniform()));
    problem.flows.push_back({net.path(from, to), Bytes{bytes}, Time{int64_t(std::round(now * 1e12))}});
  }
  return problem;
}

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
      TimedFlow flow{{}, Bytes{bytes}, Time{}};
      for (const int link : path) flow.path.push_back(LinkId(link));
      problem.flows.push_back(std::move(flow));
    }
  return problem;
}

// The completion time (finish - start) of which 99 % of the flows stay at or below.
inline Duration completion_p99(const FlowProblem& problem, const FlowTimes& times) {
  std::vector<Duration> taken;
  for (size_t i = 0; i < times.finish.size(); ++i) taken.push_back(times.finish[i] - problem.flows[i].start);
  std::sort(taken.begin(), taken.end());
  return taken[(99 * taken.size() + 99) / 100 - 1];
}

}  // namespace moesim
