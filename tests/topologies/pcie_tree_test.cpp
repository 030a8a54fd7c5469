#include <gtest/gtest.h>

#include "tests/topologies/built.h"
#include "tests/topologies/measures.h"
#include "topologies/routes.h"

namespace moesim {
namespace {

// Eight cards without NVLink, two a switch, two switches under one of the next level, one of these a socket.
TopologyInput cards(int32_t nodes) {
  TopologyInput in = servers(nodes);
  in.node.nvlink = Rate{0};
  in.node.nics = 2;
  return in;
}

// A server: 8 GPUs, 2 NICs, 2 sockets, 4 + 2 PCIe switches. Duplex links: 10 of GPUs and NICs, 6 uplinks, 1 socket
// link.
TEST(PcieTree, HasTheSizeCountedByHand) {
  const Topology topology = built("pcie-tree", cards(2));
  EXPECT_EQ(boost::num_vertices(topology.graph), 2u * 18 + 1);
  EXPECT_EQ(count(topology, VertexKind::pcie_switch), 2 * 6);
  EXPECT_EQ(count(topology, LinkKind::pcie), 2 * 2 * 16);
  EXPECT_EQ(count(topology, LinkKind::socket), 2 * 2 * 1);
  EXPECT_EQ(count(topology, LinkKind::nic), 2 * 2 * 2);
}

TEST(PcieTree, GpusMeetAtTheLowestSwitchThatTheyShare) {
  const Topology topology = built("pcie-tree", cards(1));
  EXPECT_EQ(way(topology, "node0/gpu0", "node0/gpu1"), "node0/gpu0 node0/pcie0 node0/gpu1");
  EXPECT_EQ(way(topology, "node0/gpu0", "node0/gpu3"),
            "node0/gpu0 node0/pcie0 node0/pcie-level1-0 node0/pcie1 node0/gpu3");
  EXPECT_EQ(
      way(topology, "node0/gpu0", "node0/gpu7"),
      "node0/gpu0 node0/pcie0 node0/pcie-level1-0 node0/cpu0 node0/cpu1 node0/pcie-level1-1 node0/pcie3 node0/gpu7");
}

// NIC 1 serves GPUs 4 to 7 and hangs on the switch of GPU 4, so GPU 6 reaches it over both uplinks.
TEST(PcieTree, NicsShareTheSwitchesOfTheirGpus) {
  EXPECT_EQ(
      way(built("pcie-tree", cards(2)), "node0/gpu6", "node1/gpu0"),
      "node0/gpu6 node0/pcie3 node0/pcie-level1-1 node0/pcie2 node0/nic1 leaf0 node1/nic0 node1/pcie0 node1/gpu0");
}

double sent_by(const Topology& topology, const std::set<std::string>& gpus) {
  return cross_section(topology, [&](VertexId gpu) { return gpus.contains(vertex(topology, gpu).name); });
}

// Two GPUs send over one uplink of 55 GB/s, 2:1, and four over one of the next level, 4:1; with an uplink of 110 GB/s
// the two GPUs send at the rate of their own links, and four at that of the link between the sockets, 62 GB/s.
TEST(PcieTree, AnUplinkIsSharedByAllBelowIt) {
  const std::set<std::string> two = {"node0/gpu0", "node0/gpu1"};
  const std::set<std::string> four = {"node0/gpu0", "node0/gpu1", "node0/gpu2", "node0/gpu3"};
  TopologyInput in = cards(1);
  in.node.nics = 0;  // there is no other way round
  EXPECT_EQ(sent_by(built("pcie-tree", in), two), 55e9);
  EXPECT_EQ(sent_by(built("pcie-tree", in), four), 55e9);
  const Topology wide = built("pcie-tree", in, R"({"uplink": "110 GB/s"})");
  EXPECT_EQ(sent_by(wide, two), 110e9);
  EXPECT_EQ(sent_by(wide, four), 62e9);
}

// 16 GPUs, one a switch; of these 16, four share one of the next level, and two of those 4 one of the last: 16 + 4 + 2.
TEST(PcieTree, TheFanOutOfEachLevelIsASetting) {
  TopologyInput in = cards(1);
  in.node.gpus = 16;
  in.node.gpus_per_pcie_switch = 1;
  const Topology topology = built("pcie-tree", in, R"({"fan_out": [4, 2]})");
  EXPECT_EQ(count(topology, VertexKind::pcie_switch), 22);
  EXPECT_EQ(
      way(topology, "node0/gpu0", "node0/gpu7"),
      "node0/gpu0 node0/pcie0 node0/pcie-level1-0 node0/pcie-level2-0 node0/pcie-level1-1 node0/pcie7 node0/gpu7");
}

TEST(PcieTree, WithoutUpperLevelsItIsALeafSpineOfPlainServers) {
  const Topology tree = built("pcie-tree", cards(3), R"({"fan_out": []})");
  const Topology plain = built("leaf-spine", cards(3));
  ASSERT_EQ(tree.links.size(), plain.links.size());
  for (size_t link = 0; link < tree.links.size(); ++link)
    EXPECT_EQ(link_name(tree, LinkId(link)), link_name(plain, LinkId(link)));
}

TEST(PcieTree, SaysWhatToChange) {
  EXPECT_EQ(complaint("pcie-tree", cards(1), R"({"fan_out": [1, 1, 1, 1, 1, 1, 1, 1, 1]})"),
            "/fan_out: 9 levels; at most 8");
  EXPECT_NE(complaint("pcie-tree", cards(1), R"({"fan_out": [0]})"), "");
}

}  // namespace
}  // namespace moesim
