#include "topologies/topology.h"

#include <gtest/gtest.h>

#include "sim/core/check.h"
#include "topologies/node.h"

namespace moesim {
namespace {

int count(const Topology& topology, LinkKind kind) {
  int links = 0;
  for (const LinkPlace& place : topology.places) links += place.kind == kind;
  return links;
}

bool joined(const Topology& topology, const std::string& from, const std::string& to) {
  return boost::edge(index(*find_vertex(topology, from)), index(*find_vertex(topology, to)), topology.graph).second;
}

TEST(Topology, ADuplexLinkIsTwoDirectedOnesThatKnowEachOther) {
  Topology topology;
  const VertexId a = add_vertex(topology, {VertexKind::switch_, "a"});
  const VertexId b = add_vertex(topology, {VertexKind::switch_, "b"});
  const LinkId there = add_link(topology, a, b, {1_GBps, 5_ns}, LinkKind::fabric);
  const LinkId back = topology.places[index(there)].reverse;
  EXPECT_EQ(topology.places[index(back)].reverse, there);
  EXPECT_EQ(topology.places[index(back)].from, b);
  EXPECT_EQ(topology.links[index(back)].capacity, 1_GBps);
  EXPECT_EQ(topology.links[index(back)].latency, 5_ns);
}

TEST(Topology, ParallelLinksAreNumberedInTheirNames) {
  Topology topology;
  const VertexId a = add_vertex(topology, {VertexKind::switch_, "a"});
  const VertexId b = add_vertex(topology, {VertexKind::switch_, "b"});
  const LinkId first = add_link(topology, a, b, {1_GBps, 0_ps}, LinkKind::fabric);
  const LinkId second = add_link(topology, a, b, {1_GBps, 0_ps}, LinkKind::fabric);
  EXPECT_EQ(link_name(topology, first), "a -> b");
  EXPECT_EQ(link_name(topology, second), "a -> b #2");
  EXPECT_EQ(link_name(topology, topology.places[index(second)].reverse), "b -> a #2");
}

TEST(Topology, ANameIsUnique) {
  Topology topology;
  add_vertex(topology, {VertexKind::switch_, "a"});
  EXPECT_THROW(add_vertex(topology, {VertexKind::gpu, "a"}), InternalError);
}

// The default server has 8 GPUs, 8 NICs, 2 sockets, 8 / 2 = 4 PCIe switches and an NVSwitch: 23 vertices.
// Duplex links: 8 to the NVSwitch; on PCIe 8 GPUs + 8 NICs + 4 uplinks; 1 between the sockets. 29 in all.
TEST(Node, TheDefaultServerHasThePartsOfAnH100One) {
  Topology topology;
  const NodeSpec spec;
  EXPECT_EQ(add_node(topology, spec, 0).size(), 8u);
  EXPECT_EQ(boost::num_vertices(topology.graph), 23u);
  EXPECT_EQ(vertices_of_node(spec), 23);
  EXPECT_EQ(topology.links.size(), 2u * 29);
  EXPECT_EQ(links_of_node(spec), 2 * 29);
  EXPECT_EQ(topology.gpus.size(), 8u);
  EXPECT_EQ(topology.cpus.size(), 2u);
  EXPECT_EQ(topology.nodes, 1);
  EXPECT_EQ(count(topology, LinkKind::nvlink), 2 * 8);
  EXPECT_EQ(count(topology, LinkKind::pcie), 2 * 20);
  EXPECT_EQ(count(topology, LinkKind::socket), 2 * 1);
  EXPECT_TRUE(joined(topology, "node0/pcie1", "node0/cpu0"));  // switches 0 and 1 on socket 0, 2 and 3 on socket 1
  EXPECT_TRUE(joined(topology, "node0/pcie2", "node0/cpu1"));
  EXPECT_TRUE(joined(topology, "node0/gpu5", "node0/pcie2"));
}

// 8 GPUs on 2 NICs: g * 2 / 8 gives NIC 0 to GPUs 0-3 and NIC 1 to GPUs 4-7. NIC 1's first GPU, 4, is on switch 2.
TEST(Node, AGpuUsesTheNicOfItsRailAndTheNicHangsOnItsSwitch) {
  Topology topology;
  NodeSpec spec;
  spec.nics = 2;
  const std::vector<VertexId> nics = add_node(topology, spec, 3);
  for (int gpu = 0; gpu < 8; ++gpu)
    EXPECT_EQ(vertex(topology, vertex_of(topology, GpuId{gpu})).nic, nics[gpu < 4 ? 0 : 1]) << gpu;
  EXPECT_TRUE(joined(topology, "node3/nic1", "node3/pcie2"));
  EXPECT_FALSE(joined(topology, "node3/nic1", "node3/pcie3"));
  EXPECT_EQ(node_of(topology, GpuId{7}), 3);
}

// Every NIC is used, and hangs where its first GPU does, for any numbers.
TEST(Node, EveryNicServesSomeGpuAndSharesItsSwitch) {
  for (int32_t gpus = 1; gpus <= 12; ++gpus)
    for (int32_t nics = 1; nics <= gpus; ++nics)
      for (int32_t per_switch = 1; per_switch <= 4; ++per_switch) {
        SCOPED_TRACE(::testing::Message() << gpus << " GPUs, " << nics << " NICs, " << per_switch << " a switch");
        Topology topology;
        NodeSpec spec;
        spec.gpus = gpus;
        spec.nics = nics;
        spec.gpus_per_pcie_switch = per_switch;
        const std::vector<VertexId> added = add_node(topology, spec, 0);
        EXPECT_EQ(int64_t(boost::num_vertices(topology.graph)), vertices_of_node(spec));
        EXPECT_EQ(int64_t(topology.links.size()), links_of_node(spec));
        for (int32_t nic = 0; nic < nics; ++nic) {
          int32_t first = 0;
          while (first < gpus && vertex(topology, vertex_of(topology, GpuId{first})).nic != added[index(nic)]) ++first;
          ASSERT_LT(first, gpus);
          EXPECT_TRUE(
              joined(topology, "node0/nic" + std::to_string(nic), "node0/pcie" + std::to_string(first / per_switch)));
        }
      }
}

TEST(Node, WithoutNvlinkThereIsNoNvswitch) {
  Topology topology;
  NodeSpec spec;
  spec.nvlink = Rate{0};
  add_node(topology, spec, 0);
  EXPECT_FALSE(find_vertex(topology, "node0/nvswitch").has_value());
  EXPECT_EQ(count(topology, LinkKind::nvlink), 0);
}

}  // namespace
}  // namespace moesim
