#include <gtest/gtest.h>

#include "tests/topologies/built.h"
#include "tests/topologies/measures.h"
#include "topologies/routes.h"

namespace moesim {
namespace {

TEST(NicIslands, EachIslandIsALeafSpineOfItsOwnNics) {
  const Topology topology = built("nic-islands", servers(5));  // 3 servers of InfiniBand, 2 of RoCE
  EXPECT_EQ(count(topology, VertexKind::leaf), 2);
  EXPECT_EQ(count(topology, VertexKind::nic), 5 * 9);
  Routes routes(topology, 1);
  const Path infiniband = routes.path(topology.gpus[0], topology.gpus[2 * 8], 0);
  EXPECT_EQ(names(topology, infiniband),
            "node0/gpu0 node0/pcie0 node0/nic0 island0/leaf0 node2/nic0 node2/pcie0 node2/gpu0");
  EXPECT_EQ(narrowest(topology, infiniband), 50_GBps);
  EXPECT_EQ(narrowest(topology, routes.path(topology.gpus[3 * 8], topology.gpus[4 * 8], 0)), 25_GBps);
}

// Six PCIe links of 150 ns and two Ethernet ports of 15 us are 30.9 us.
TEST(NicIslands, BetweenIslandsThereIsOnlyTheEthernetOfEachServer) {
  const Topology topology = built("nic-islands", servers(4));
  Routes routes(topology, 1);
  const Path path = routes.path(topology.gpus[0], topology.gpus[2 * 8 + 3], 0);
  EXPECT_EQ(
      names(topology, path),
      "node0/gpu0 node0/pcie0 node0/cpu0 node0/ethernet ethernet node2/ethernet node2/cpu0 node2/pcie1 node2/gpu3");
  EXPECT_EQ(latency(topology, path), 30'900_ns);
  EXPECT_EQ(cross_section(topology, 2), 2 * 3.125e9);  // two servers of 25 Gb/s
}

TEST(NicIslands, ServersAreCountedOrShared) {
  const auto nodes = [](const std::string& islands) {
    const Topology topology =
        built("nic-islands", servers(7), "{\"nodes_per_leaf\": 1, \"islands\": [" + islands + "]}");
    std::vector<int> leaves;
    for (int i = 0; i < 3; ++i) {
      leaves.push_back(0);
      while (find_vertex(topology, "island" + std::to_string(i) + "/leaf" + std::to_string(leaves.back())))
        ++leaves.back();
    }
    return leaves;
  };
  EXPECT_EQ(nodes(R"({"kind": "roce", "nodes": 5}, {"kind": "ethernet", "nodes": 2})"), (std::vector{5, 2, 0}));
  EXPECT_EQ(nodes(R"({"kind": "roce"}, {"kind": "ethernet", "nodes": 2}, {"kind": "roce"})"), (std::vector{3, 2, 2}));
}

TEST(NicIslands, EthernetNicsAreSlowUnlessToldOtherwise) {
  const Topology topology = built("nic-islands", servers(4), R"({
    "ethernet": "10 GB/s", "ethernet_latency": "20 us",
    "islands": [{"kind": "ethernet"}, {"kind": "ethernet", "rate": "12.5 GB/s", "latency": "5 us"}]})");
  const auto port = [&](const char* nic, const char* leaf) {
    const auto edge =
        boost::edge(index(*find_vertex(topology, nic)), index(*find_vertex(topology, leaf)), topology.graph);
    return topology.links[index(topology.graph[edge.first].link)];
  };
  EXPECT_EQ(port("node0/nic0", "island0/leaf0").capacity, 10_GBps);
  EXPECT_EQ(port("node0/nic0", "island0/leaf0").latency, 20_us);
  EXPECT_EQ(port("node2/nic0", "island1/leaf0").capacity, Rate{12.5e9});
  EXPECT_EQ(port("node2/nic0", "island1/leaf0").latency, 5_us);
}

TEST(NicIslands, SaysWhatToChange) {
  EXPECT_EQ(complaint("nic-islands", servers(4), R"({"islands": [{"kind": "roce", "nodes": 3}]})"),
            "/islands: they name 3 servers, and there are 4");
  EXPECT_EQ(complaint("nic-islands", servers(4), R"({"islands": [{"kind": "roce", "nodes": 6}, {"kind": "roce"}]})"),
            "/islands: they name 6 servers, and there are 4");
  EXPECT_EQ(complaint("nic-islands", servers(4), R"({"islands": []})"), "/islands: 0 islands; there may be 1 to 1000");
  EXPECT_NE(complaint("nic-islands", servers(4), R"({"islands": [{"kind": "token-ring"}]})"), "");
}

}  // namespace
}  // namespace moesim
