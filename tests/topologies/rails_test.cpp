// Rail-only, and rail-optimised with spines of their own a rail.
#include <gtest/gtest.h>

#include "tests/topologies/built.h"
#include "tests/topologies/measures.h"
#include "topologies/routes.h"

namespace moesim {
namespace {

TopologyInput four_gpus(int32_t nodes) {
  TopologyInput in = servers(nodes);
  in.node.gpus = 4;
  in.node.nics = 4;
  return in;
}

// What lies where, link by link.
std::vector<std::string> wiring(const Topology& topology) {
  std::vector<std::string> lines;
  for (size_t link = 0; link < topology.links.size(); ++link) lines.push_back(link_name(topology, LinkId(link)));
  return lines;
}

TEST(RailOnly, IsOneSwitchARailAndNoneBetweenThem) {
  const Topology topology = built("rail-only", four_gpus(6));
  EXPECT_EQ(count(topology, VertexKind::leaf), 4);
  EXPECT_EQ(count(topology, VertexKind::spine), 0);
  EXPECT_EQ(count(topology, LinkKind::fabric), 0);
  EXPECT_EQ(way(topology, "node2/gpu3", "node5/gpu3"),
            "node2/gpu3 node2/pcie1 node2/nic3 rail3/leaf0 node5/nic3 node5/pcie1 node5/gpu3");
  // Half of the servers send what their 3 x 4 NICs of 50 GB/s can.
  EXPECT_EQ(cross_section(topology, 3), 600e9);
}

// GPU 1 has no NIC on rail 3, so GPU 3 of its server sends for it. Two NVLinks of 500 ns, four PCIe links of 150 ns and
// two NIC ports of 1 us are 3.6 us.
TEST(RailOnly, BytesForAnotherRailAreHandedOverByNvlinkToTheGpuOfThatRail) {
  const Topology topology = built("rail-only", four_gpus(2));
  EXPECT_EQ(
      way(topology, "node0/gpu1", "node1/gpu3"),
      "node0/gpu1 node0/nvswitch node0/gpu3 node0/pcie1 node0/nic3 rail3/leaf0 node1/nic3 node1/pcie1 node1/gpu3");
  Routes routes(topology, 1);
  const Path path = routes.path(topology.gpus[1], topology.gpus[4 + 3], 0);
  EXPECT_EQ(latency(topology, path), 3600_ns);
  EXPECT_EQ(narrowest(topology, path), 50_GBps);
}

TEST(RailOnly, WithoutNvlinkTheyReachTheNicOfThatRailOverTheBuses) {
  TopologyInput in = four_gpus(2);
  in.node.nvlink = Rate{0};
  EXPECT_EQ(way(built("rail-only", in), "node0/gpu1", "node1/gpu3"),
            "node0/gpu1 node0/pcie0 node0/cpu0 node0/cpu1 node0/pcie1 node0/nic3 rail3/leaf0 node1/nic3 node1/pcie1 "
            "node1/gpu3");
}

// Two GPUs share a NIC: GPU 2 of the other server is on rail 1, and the GPU with its number here is there to hand over
// to.
TEST(RailOnly, GpusThatShareANicShareARail) {
  TopologyInput in = four_gpus(2);
  in.node.nics = 2;
  const Topology topology = built("rail-only", in);
  EXPECT_EQ(count(topology, VertexKind::leaf), 2);
  EXPECT_EQ(way(topology, "node0/gpu0", "node1/gpu1"),
            "node0/gpu0 node0/pcie0 node0/nic0 rail0/leaf0 node1/nic0 "
            "node1/pcie0 node1/gpu1");
  EXPECT_EQ(
      way(topology, "node0/gpu0", "node1/gpu3"),
      "node0/gpu0 node0/nvswitch node0/gpu3 node0/pcie1 node0/nic1 rail1/leaf0 node1/nic1 node1/pcie1 node1/gpu3");
}

// Four servers, two a leaf: each rail has 2 leaves of 2 x 50 GB/s, so 2 spines. 4 rails: 8 leaves, 8 spines and
// 4 x 2 x 2 duplex links between them, each within its rail.
TEST(RailOnly, LargeRailsAreLeafSpinesOfTheirOwn) {
  const Topology topology = built("rail-only", four_gpus(4), R"({"nodes_per_leaf": 2})");
  EXPECT_EQ(count(topology, VertexKind::leaf), 8);
  EXPECT_EQ(count(topology, VertexKind::spine), 8);
  EXPECT_EQ(count(topology, LinkKind::fabric), 2 * 16);
  for (const LinkPlace& place : topology.places)
    if (place.kind == LinkKind::fabric) {
      EXPECT_EQ(vertex(topology, place.from).name.substr(0, 6), vertex(topology, place.to).name.substr(0, 6));
    }
  Routes routes(topology, 1);
  EXPECT_EQ(routes.choices(topology.gpus[0], topology.gpus[12 + 2]).size(), 2u);
  EXPECT_EQ(routes.hops(topology.gpus[0], topology.gpus[12 + 2]), 2 + 8);
}

TEST(RailOptimised, WithSpinesOfTheirOwnRailsAreThoseOfRailOnly) {
  EXPECT_EQ(wiring(built("rail-optimised", four_gpus(5), R"({"nodes_per_pod": 2, "spine_sets": "rail"})")),
            wiring(built("rail-only", four_gpus(5), R"({"nodes_per_leaf": 2})")));
}

// 64 NICs of 50 GB/s a leaf are 3.2 TB/s, 64 links of 50 GB/s: 64 spines that all 2 x 8 leaves share, or 64 a rail.
TEST(RailOptimised, TakesSixtyFourNicsALeafAtFullRate) {
  EXPECT_EQ(count(built("rail-optimised", servers(128), R"({"nodes_per_pod": 64})"), VertexKind::spine), 64);
  const Topology own = built("rail-optimised", servers(128), R"({"nodes_per_pod": 64, "spine_sets": "rail"})");
  EXPECT_EQ(count(own, VertexKind::leaf), 16);
  EXPECT_EQ(count(own, VertexKind::spine), 8 * 64);
  Routes routes(own, 1);
  EXPECT_EQ(routes.choices(own.gpus[5], own.gpus[127 * 8 + 5]).size(), 64u);
}

TEST(RailOnly, SaysWhatToChange) {
  EXPECT_EQ(complaint("rail-only", four_gpus(4), R"({"nodes_per_leaf": 2, "spines": 0})"),
            "/spines: 2 leaves need at least one spine to join them");
  EXPECT_NE(complaint("rail-only", four_gpus(4), R"({"nodes_per_leaf": 0})"), "");
}

}  // namespace
}  // namespace moesim
