// Random servers with random options, for what must hold of every builder.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "sim/core/random.h"
#include "tests/topologies/built.h"

namespace moesim {

// Options of a builder, in JSON, that suit any number of servers; in half of the cases the defaults.
inline std::string random_options(const std::string& name, Rng& rng) {
  if (name == "single-node" || rng.below(2) == 0) return "{}";
  const int64_t size = rng.between(1, 3);
  const double ratio = double(rng.between(1, 4)) / 2;
  if (name == "rail-optimised")
    return fmt::format(R"({{"nodes_per_pod": {}, "spine_sets": "{}"}})", size, rng.below(2) == 0 ? "rail" : "shared");
  if (name == "rail-only") return fmt::format(R"({{"nodes_per_leaf": {}, "oversubscription": {}}})", size, ratio);
  if (name == "nvl72")
    return fmt::format(R"({{"gpus_per_rack": {}, "nvswitches": {}, "racks_by": "{}"}})", rng.between(8, 24), size,
                       rng.below(2) == 0 ? "rails" : "leaf-spine");
  if (name == "pcie-tree")
    return fmt::format(R"({{"fan_out": [{}, {}], "uplink": "32 GB/s", "nodes_per_leaf": {}}})", size, rng.between(1, 4),
                       rng.between(1, 3));
  if (name == "fat-tree")
    return fmt::format(R"({{"edge_oversubscription": {}, "core_oversubscription": {}}})", std::max(ratio, 1.0), size);
  if (name == "dragonfly") return fmt::format(R"({{"routers": {}, "global_links": {}}})", rng.between(3, 5), size + 3);
  if (name == "nic-islands")
    return fmt::format(R"({{"islands": [{{"kind": "ethernet"}}, {{"kind": "infiniband"}}], "nodes_per_leaf": {}}})",
                       size);
  if (name == "wan")
    return fmt::format(R"({{"shape": "{}", "nodes_per_leaf": {}}})", rng.below(2) == 0 ? "ring" : "mesh", size);
  return fmt::format(R"({{"nodes_per_leaf": {}, "oversubscription": {}}})", size, ratio);
}

// Calls check(name, input, topology, rng) for every builder but the explicit list.
template <class Check>
void for_random_topologies(uint64_t seeds, Check check) {
  for (const auto& entry : Registry<TopologyBuilder>::instance().entries()) {
    const std::string& name = entry.name;
    if (name == "graph") continue;
    for (uint64_t seed = 0; seed < seeds; ++seed) {
      SCOPED_TRACE(name + ", seed " + std::to_string(seed));
      Rng rng(seed);
      TopologyInput in;
      in.nodes = name == "single-node" ? 1 : int32_t(rng.between(name == "wan" ? 2 : 1, 9));
      in.node.gpus = int32_t(rng.between(1, 8));
      in.node.nics = int32_t(rng.between(1, in.node.gpus));
      in.node.sockets = int32_t(rng.between(1, 4));
      in.node.gpus_per_pcie_switch = int32_t(rng.between(1, 8));
      if (rng.below(3) == 0 && name != "nvl72") in.node.nvlink = Rate{0};
      check(name, in, built(name, in, random_options(name, rng)), rng);
    }
  }
}

}  // namespace moesim
