#include <gtest/gtest.h>

#include "tests/topologies/built.h"
#include "tests/topologies/measures.h"
#include "topologies/routes.h"

namespace moesim {
namespace {

// GB200: 4 GPUs and 4 NICs a tray, 900 GB/s of NVLink.
TopologyInput trays(int32_t count) {
  TopologyInput in = servers(count);
  in.node.gpus = 4;
  in.node.nics = 4;
  in.node.nvlink = 900_GBps;
  return in;
}

// 36 trays of 4 are two racks of 72. Each rack has 4 leaves of 18 NICs, 900 GB/s, so 18 spines of 50 GB/s.
// A tray has 4 GPUs, 4 NICs, 2 sockets and 2 PCIe switches.
TEST(Nvl72, RacksHaveTheSizeCountedByHand) {
  const Topology topology = built("nvl72", trays(36));
  EXPECT_EQ(topology.gpus.size(), 144u);
  EXPECT_EQ(count(topology, VertexKind::nvswitch), 2);
  EXPECT_EQ(count(topology, VertexKind::leaf), 8);
  EXPECT_EQ(count(topology, VertexKind::spine), 18);
  EXPECT_EQ(boost::num_vertices(topology.graph), 36u * 12 + 2 + 8 + 18);
  EXPECT_EQ(count(topology, LinkKind::nvlink), 2 * 144);
  EXPECT_EQ(count(topology, LinkKind::nic), 2 * 144);
  EXPECT_EQ(count(topology, LinkKind::fabric), 2 * 8 * 18);
}

TEST(Nvl72, AllGpusOfARackAreOneNvswitchApart) {
  const Topology topology = built("nvl72", trays(36));
  EXPECT_EQ(way(topology, "node0/gpu0", "node17/gpu3"), "node0/gpu0 rack0/nvswitch0 node17/gpu3");
  EXPECT_EQ(way(topology, "node35/gpu0", "node18/gpu2"), "node35/gpu0 rack1/nvswitch0 node18/gpu2");
  EXPECT_EQ(way(topology, "node17/gpu0", "node17/gpu1"), "node17/gpu0 rack0/nvswitch0 node17/gpu1");
}

TEST(Nvl72, RacksAreJoinedByTheNicsOfTheirTrays) {
  const Topology topology = built("nvl72", trays(36));
  Routes routes(topology, 1);
  const Path path = routes.path(topology.gpus[1], topology.gpus[72 + 1], 0);
  EXPECT_EQ(path.size(), 8u);  // GPU, PCIe switch, NIC, leaf, spine, and down again
  EXPECT_EQ(routes.choices(topology.gpus[1], topology.gpus[72 + 1]).size(), 18u);
}

// Between racks 72 NICs of 50 GB/s. Inside a rack, of 9 trays to 9 others, 36 GPUs of 900 GB/s over NVLink, and their
// 36 NICs beside it.
TEST(Nvl72, TheCrossSectionIsNvlinkInsideARackAndNicsBetweenRacks) {
  EXPECT_EQ(cross_section(built("nvl72", trays(36)), 18), 72 * 50e9);
  EXPECT_EQ(cross_section(built("nvl72", trays(18)), 9), 36 * 900e9 + 36 * 50e9);
}

// 72 / 5 = 14 whole trays, so 15 trays are two racks.
TEST(Nvl72, ARackHoldsWholeTrays) {
  TopologyInput in = trays(15);
  in.node.gpus = 5;
  const Topology topology = built("nvl72", in);
  EXPECT_EQ(count(topology, VertexKind::nvswitch), 2);
  EXPECT_EQ(way(topology, "node0/gpu0", "node13/gpu4"), "node0/gpu0 rack0/nvswitch0 node13/gpu4");
  EXPECT_EQ(count(built("nvl72", trays(4), R"({"gpus_per_rack": 8})"), VertexKind::nvswitch), 2);
}

// 18 chips have 900 / 18 = 50 GB/s of each GPU.
TEST(Nvl72, SeveralNvswitchesShareTheNvlinkOfAGpu) {
  const Topology topology = built("nvl72", trays(2), R"({"nvswitches": 18})");
  Routes routes(topology, 1);
  const auto choices = routes.choices(topology.gpus[0], topology.gpus[5]);
  ASSERT_EQ(choices.size(), 18u);
  for (const Path path : choices) EXPECT_EQ(narrowest(topology, path), 50_GBps);
}

// 16 trays, 8 a leaf: 2 leaves of 8 x 4 x 50 GB/s, 32 spines.
TEST(Nvl72, LeafSpineJoinsAllNicsOfATrayToOneLeaf) {
  const Topology topology = built("nvl72", trays(16), R"({"racks_by": "leaf-spine", "gpus_per_rack": 32})");
  EXPECT_EQ(count(topology, VertexKind::leaf), 2);
  EXPECT_EQ(count(topology, VertexKind::spine), 32);
  EXPECT_EQ(way(topology, "node3/nic0", "node3/nic1"), "node3/nic0 node3/pcie0 node3/nic1");
  EXPECT_EQ(way(topology, "node3/nic0", "node4/nic1"), "node3/nic0 leaf0 node4/nic1");
}

TEST(Nvl72, SaysWhatToChange) {
  TopologyInput in = trays(2);
  in.node.nvlink = Rate{0};
  EXPECT_EQ(complaint("nvl72", in, R"({"gpus_per_rack": 2})"),
            ": the GPUs have no NVLink to make a rack of; take leaf-spine, or give nvlink\n"
            "/gpus_per_rack: 2, but one server has 4 GPUs already");
  EXPECT_NE(complaint("nvl72", trays(2), R"({"spines": 2, "oversubscription": 2})"), "");
}

}  // namespace
}  // namespace moesim
