#include <gtest/gtest.h>

#include "tests/topologies/built.h"
#include "tests/topologies/measures.h"
#include "topologies/routes.h"

namespace moesim {
namespace {

std::string with_k(int k) { return "{\"k\": " + std::to_string(k) + "}"; }

// Al-Fares et al.: 5 k^2 / 4 switches for k^3 / 4 hosts, and k^3 / 4 duplex links on each of the two levels between
// them.
TEST(FatTree, AFullOneHasTheSizeOfThePaper) {
  for (const int k : {2, 4, 6, 8}) {
    SCOPED_TRACE(k);
    const Topology topology = built("fat-tree", hosts(k * k * k / 4), with_k(k));
    EXPECT_EQ(count(topology, VertexKind::leaf), k * k / 2);
    EXPECT_EQ(count(topology, VertexKind::spine), k * k / 2);
    EXPECT_EQ(count(topology, VertexKind::core), k * k / 4);
    EXPECT_EQ(count(topology, LinkKind::fabric), 2 * 2 * (k * k * k / 4));
    for (const auto id : boost::make_iterator_range(boost::vertices(topology.graph))) {
      const VertexKind kind = topology.graph[id].kind;
      if (kind == VertexKind::leaf || kind == VertexKind::spine || kind == VertexKind::core) {
        EXPECT_EQ(boost::out_degree(id, topology.graph), size_t(k)) << topology.graph[id].name;
      }
    }
  }
}

// From a GPU over a PCIe switch to its NIC and back are 4 links; between NICs there are 2, 4 or 6.
TEST(FatTree, PodsAreJoinedByAQuarterOfKSquaredPaths) {
  for (const int k : {4, 6, 8}) {
    SCOPED_TRACE(k);
    const Topology topology = built("fat-tree", hosts(k * k * k / 4), with_k(k));
    Routes routes(topology, 1);
    const VertexId first = topology.gpus[0];
    const VertexId same_edge = topology.gpus[1];
    const VertexId same_pod = topology.gpus[size_t(k) / 2];
    const VertexId other_pod = topology.gpus.back();
    EXPECT_EQ(routes.choices(first, same_edge).size(), 1u);
    EXPECT_EQ(routes.choices(first, same_pod).size(), size_t(k) / 2);
    EXPECT_EQ(routes.choices(first, other_pod).size(), size_t(k * k) / 4);
    EXPECT_EQ(routes.hops(first, same_edge), 4 + 2);
    EXPECT_EQ(routes.hops(first, same_pod), 4 + 4);
    EXPECT_EQ(routes.hops(first, other_pod), 4 + 6);
  }
}

TEST(FatTree, TheWayUpAndDownIsNamed) {
  const Topology topology = built("fat-tree", hosts(16), with_k(4));
  Routes routes(topology, 1);
  const auto choices = routes.choices(*find_vertex(topology, "node0/nic0"), *find_vertex(topology, "node15/nic0"));
  ASSERT_EQ(choices.size(), 4u);
  EXPECT_EQ(names(topology, choices[0]),
            "node0/nic0 pod0/edge0 pod0/aggregation0 core0 pod3/aggregation0 pod3/edge1 node15/nic0");
  EXPECT_EQ(names(topology, choices[3]),
            "node0/nic0 pod0/edge0 pod0/aggregation1 core3 pod3/aggregation1 pod3/edge1 node15/nic0");
}

// 16 hosts of 50 GB/s, k = 4: half send 400 GB/s to the other half. With half of the cores each pod sends 2 x 50 GB/s,
// and so it does with half of its aggregation switches.
TEST(FatTree, TheBisectionIsFullButForTheOversubscription) {
  EXPECT_EQ(cross_section(built("fat-tree", hosts(16), with_k(4)), 8), 400e9);
  EXPECT_EQ(cross_section(built("fat-tree", hosts(16), R"({"k": 4, "core_oversubscription": 2})"), 8), 200e9);
  EXPECT_EQ(cross_section(built("fat-tree", hosts(16), R"({"k": 4, "edge_oversubscription": 2})"), 8), 200e9);
  EXPECT_EQ(count(built("fat-tree", hosts(16), R"({"k": 4, "edge_oversubscription": 2})"), VertexKind::spine), 4);
}

// 17 hosts need k = 6, 54 at the most: 3 an edge switch, so 6 edge switches, 2 pods of 3 aggregation switches, 9 cores.
TEST(FatTree, TheLeastThatHoldsTheNicsIsBuiltAndOnlyWhatIsNeededOfIt) {
  const Topology topology = built("fat-tree", hosts(17));
  EXPECT_EQ(count(topology, VertexKind::leaf), 6);
  EXPECT_EQ(count(topology, VertexKind::spine), 6);
  EXPECT_EQ(count(topology, VertexKind::core), 9);
  EXPECT_EQ(count(built("fat-tree", hosts(2)), VertexKind::spine), 0);
  EXPECT_EQ(count(built("fat-tree", hosts(4)), VertexKind::core), 0);
}

TEST(FatTree, SaysWhatToChange) {
  EXPECT_EQ(complaint("fat-tree", hosts(17), with_k(4)),
            "/k: switches of 4 ports join 16 NICs at the most, and there are 17");
  EXPECT_EQ(complaint("fat-tree", hosts(4), with_k(5)), "/k: 5 is odd; half of a switch's ports lead up");
  EXPECT_NE(complaint("fat-tree", hosts(4), R"({"core_oversubscription": 0.5})"), "");
}

}  // namespace
}  // namespace moesim
