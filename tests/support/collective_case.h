// Collectives for tests: plans by name and settings, random groups, and plans run on a network. Only run_plan() knows
// how ranks are wired to it.
#pragma once

#include <string>
#include <vector>

#include "sim/comm/collective.h"
#include "sim/config/json.h"
#include "sim/core/check.h"
#include "sim/work/executor.h"
#include "topologies/builder.h"
#include "topologies/routed_paths.h"
#include "topologies/routes.h"
#include "topologies/topology.h"

namespace moesim {

// A policy as a scenario names it: name "ring", settings {"chunks": 3}.
template <class Kind>
PolicyChoice<Kind> chosen(const std::string& name, const std::string& settings = "{}") {
  JsonNode json = parse_json(settings, "test");
  JsonNode policy;
  policy.kind = JsonKind::string;
  policy.key = "policy";
  policy.text = name;
  json.children.push_back(policy);
  PolicyChoice<Kind> choice;
  std::vector<Fault> faults;
  choice.read(json, Place{}, faults);
  throw_if_any("test", std::move(faults));
  return choice;
}

template <class Kind>
CollectivePlan planned(const std::string& name, const typename Kind::Input& input, const std::string& settings = "{}") {
  Rng rng(1);
  return chosen<Kind>(name, settings).decide(input, rng);
}

// Ranks on one to four nodes of any sizes and numbers; some cases have no nodes.
inline std::vector<int32_t> random_nodes(int32_t ranks, Rng& rng) {
  std::vector<int32_t> nodes;
  if (rng.below(5) == 0) return nodes;
  const int64_t count = rng.between(1, 4);
  const bool in_order = rng.below(2) == 0;
  for (int64_t rank = 0; rank < ranks; ++rank)
    nodes.push_back(int32_t(7 + 3 * (in_order ? rank * count / ranks : rng.between(0, count - 1))));
  return nodes;
}

struct PlanRun {
  Duration time;
  Bytes sent;
  Bytes delivered;
};

// Rank r on GPU r, all of the same software, from a quiet network to the end of the last task.
inline PlanRun run_plan(const CollectivePlan& plan, int32_t ranks, const Topology& topology, const SoftwareStack& stack,
                        Fidelity fidelity) {
  Routes routes(topology, 1);
  RoutedPaths paths(topology, routes);
  std::vector<Member> members;
  for (int32_t rank = 0; rank < ranks; ++rank) {
    const VertexId gpu = vertex_of(topology, GpuId{rank});
    members.push_back({endpoint_of(gpu), endpoint_of(by_nic(topology, gpu)), StreamId{rank}, kNoPool, 0, stack, {}});
  }
  TaskGraph graph;
  add_collective(graph, plan, members, std::vector<uint32_t>(size_t(ranks), 0), 1);
  Simulator sim;
  Executor executor(sim, {{fidelity}, PolicyChoice<PathPolicy>("hash"), 1}, topology.links, paths, size_t(ranks), {});
  const GraphId id = executor.submit(graph);
  sim.run();
  CHECK(executor.finished(id));
  return {sim.now() - Time{}, executor.bytes_sent(), executor.bytes_delivered()};
}

inline Topology build_topology(const std::string& name, const TopologyInput& in, const std::string& settings = "{}") {
  Rng rng(1);
  return chosen<TopologyBuilder>(name, settings).decide(in, rng);
}

// The machine of the alpha-beta model: each rank has one link out and one in, and all pairs are as far apart. A single
// NVSwitch is just that.
inline Topology star(int32_t ranks, Rate rate, Duration latency) {
  NodeSpec node;
  node.gpus = ranks;
  node.gpus_per_pcie_switch = ranks;
  node.nics = 0;
  node.nvlink = rate;
  node.nvlink_latency = Duration{latency.ps / 2};
  return build_topology("single-node", {1, node});
}

}  // namespace moesim
