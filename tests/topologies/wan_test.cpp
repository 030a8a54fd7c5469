#include <gtest/gtest.h>

#include "tests/topologies/built.h"
#include "tests/topologies/measures.h"
#include "topologies/routes.h"

namespace moesim {
namespace {

// Four PCIe links of 150 ns, two NIC ports of 1 us, two links of 500 ns to the gateways and 5 ms between them.
TEST(Wan, LatencyAddsUp) {
  const Topology topology = built("wan", servers(2));
  Routes routes(topology, 1);
  const Path path = routes.path(topology.gpus[0], topology.gpus[8], 0);
  EXPECT_EQ(names(topology, path),
            "node0/gpu0 node0/pcie0 node0/nic0 cluster0/leaf0 cluster0/gateway cluster1/gateway "
            "cluster1/leaf0 node1/nic0 node1/pcie0 node1/gpu0");
  EXPECT_EQ(latency(topology, path), 5_ms + 3600_ns);
}

// Clusters of n have n (n - 1) / 2 wide-area links in a mesh and n in a ring.
TEST(Wan, AMeshJoinsEachTwoClustersAndARingNeighbours) {
  EXPECT_EQ(count(built("wan", servers(5), R"({"clusters": 5})"), LinkKind::wan), 2 * 10);
  EXPECT_EQ(count(built("wan", servers(5), R"({"clusters": 5, "shape": "ring"})"), LinkKind::wan), 2 * 5);
  EXPECT_EQ(count(built("wan", servers(5), R"({"clusters": 2, "shape": "ring"})"), LinkKind::wan), 2 * 1);
  EXPECT_EQ(count(built("wan", servers(5), R"({"clusters": 1})"), LinkKind::wan), 0);
}

// In a ring of four, opposite clusters are two wide-area links apart, either way round.
TEST(Wan, ARingIsCrossedTheShorterWay) {
  const Topology topology = built("wan", servers(4), R"({"clusters": 4, "shape": "ring", "wan_latency": "10 ms"})");
  Routes routes(topology, 1);
  EXPECT_EQ(routes.choices(topology.gpus[0], topology.gpus[16]).size(), 2u);
  EXPECT_EQ(latency(topology, routes.path(topology.gpus[0], topology.gpus[16], 0)), 20_ms + 3600_ns);
  EXPECT_EQ(latency(topology, routes.path(topology.gpus[0], topology.gpus[24], 0)), 10_ms + 3600_ns);
}

// Two clusters send what their wide-area link carries; of four in a mesh, two send over 2 x 2 links.
TEST(Wan, TheCrossSectionIsThatOfTheWideAreaLinks) {
  EXPECT_EQ(cross_section(built("wan", servers(2), R"({"wan_link": "10 GB/s"})"), 1), 10e9);
  EXPECT_EQ(cross_section(built("wan", servers(4), R"({"clusters": 4, "wan_link": "10 GB/s"})"), 2), 40e9);
}

// 7 servers in 3 clusters: 7 c / 3 rounds down to 2, 4, 7, so 2, 2 and 3. One a leaf of 400 GB/s: 8 spines a cluster.
TEST(Wan, ServersAreDealtInRunsAndEachClusterIsALeafSpine) {
  const Topology topology = built("wan", servers(7), R"({"clusters": 3, "nodes_per_leaf": 1})");
  EXPECT_EQ(count(topology, VertexKind::leaf), 7);
  EXPECT_EQ(count(topology, VertexKind::spine), 3 * 8);
  EXPECT_EQ(count(topology, VertexKind::router), 3);
  EXPECT_TRUE(find_vertex(topology, "cluster2/leaf2").has_value());
  EXPECT_FALSE(find_vertex(topology, "cluster1/leaf2").has_value());
  Routes routes(topology, 1);
  EXPECT_EQ(routes.hops(topology.gpus[0], topology.gpus[8]), 8);  // inside the cluster, not over the gateway
  EXPECT_EQ(routes.choices(topology.gpus[0], topology.gpus[6 * 8]).size(), 8u * 8);
}

TEST(Wan, SaysWhatToChange) {
  EXPECT_EQ(complaint("wan", servers(3), R"({"clusters": 4})"), "/clusters: 4, but there are only 3 servers");
  EXPECT_NE(complaint("wan", servers(3), R"({"wan_latency": "2 s"})"), "");
}

}  // namespace
}  // namespace moesim
