#include <gtest/gtest.h>

#include <set>

#include "sim/config/reader.h"
#include "sim/config/writer.h"
#include "sim/core/random.h"
#include "tests/topologies/built.h"
#include "tests/topologies/measures.h"
#include "tests/topologies/random_options.h"
#include "topologies/routes.h"

namespace moesim {
namespace {

// A server has 23 vertices and 29 duplex links (topology_test.cpp). One server a leaf sends 8 x 50 GB/s up, which takes
// 8 spines of 50 GB/s. Vertices: 2 x 23 + 2 leaves + 8 spines. Duplex links: 2 x 29 + 16 NIC ports + 2 x 8 uplinks.
TEST(LeafSpine, TwoServersOnTwoLeavesHaveTheSizeCountedByHand) {
  const Topology topology = built("leaf-spine", servers(2), R"({"nodes_per_leaf": 1})");
  EXPECT_EQ(boost::num_vertices(topology.graph), 56u);
  EXPECT_EQ(topology.links.size(), 2u * 90);
  EXPECT_EQ(count(topology, VertexKind::leaf), 2);
  EXPECT_EQ(count(topology, VertexKind::spine), 8);
  EXPECT_EQ(topology.gpus.size(), 16u);
  EXPECT_EQ(node_of(topology, GpuId{8}), 1);
  EXPECT_EQ(topology.nodes, 2);
}

TEST(LeafSpine, OneLeafNeedsNoSpine) {
  const Topology topology = built("leaf-spine", servers(4));
  EXPECT_EQ(count(topology, VertexKind::leaf), 1);
  EXPECT_EQ(count(topology, VertexKind::spine), 0);
}

// Two servers of 8 x 50 GB/s a leaf: 800 GB/s up. At 1:1 half the servers send all of it to the other half; at 2:1
// half of it, 400 GB/s over 8 spines; at 3:1 266.7 GB/s, which takes ceil(5.33) = 6 spines, 300 GB/s.
TEST(LeafSpine, TheCrossSectionIsTheNicsOverTheOversubscription) {
  EXPECT_EQ(cross_section(built("leaf-spine", servers(4), R"({"nodes_per_leaf": 2})"), 2), 800e9);
  EXPECT_EQ(cross_section(built("leaf-spine", servers(4), R"({"nodes_per_leaf": 2, "oversubscription": 2})"), 2),
            400e9);
  EXPECT_EQ(cross_section(built("leaf-spine", servers(4), R"({"nodes_per_leaf": 2, "oversubscription": 3})"), 2),
            300e9);
  EXPECT_EQ(cross_section(built("leaf-spine", servers(4), R"({"nodes_per_leaf": 2, "spines": 3})"), 2), 150e9);
  EXPECT_EQ(
      cross_section(built("leaf-spine", servers(4), R"({"nodes_per_leaf": 2, "spines": 3, "link": "100 GB/s"})"), 2),
      300e9);
}

TEST(LeafSpine, TheRatioIsAtMostTheOneAskedForAndOneSpineFewerWouldExceedIt) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    TopologyInput in = servers(int32_t(rng.between(2, 12)));
    in.node.nics = int32_t(rng.between(1, 8));
    const int64_t nodes_per_leaf = rng.between(1, in.nodes - 1);
    const double ratio = double(rng.between(1, 8)) / 2;
    const Topology topology = built("leaf-spine", in,
                                    "{\"nodes_per_leaf\": " + std::to_string(nodes_per_leaf) +
                                        ", \"oversubscription\": " + std::to_string(ratio) + "}");
    const double down = double(nodes_per_leaf * in.node.nics) * 50e9;
    const double spines = count(topology, VertexKind::spine);
    EXPECT_LE(down / (spines * 50e9), ratio);
    if (spines > 1) {
      EXPECT_GT(down / ((spines - 1) * 50e9), ratio);
    }
  }
}

// 4 servers in pods of 2, 8 rails: 2 x 8 leaves, each with 2 x 50 GB/s down, so 2 spines. Between pods 16 NICs send
// 800 GB/s; between the two servers of a pod each rail's leaf passes 50 GB/s, 400 in all.
TEST(RailOptimised, EachRailOfAPodHasItsLeaf) {
  const Topology topology = built("rail-optimised", servers(4), R"({"nodes_per_pod": 2})");
  EXPECT_EQ(count(topology, VertexKind::leaf), 16);
  EXPECT_EQ(count(topology, VertexKind::spine), 2);
  EXPECT_EQ(cross_section(topology, 2), 800e9);
  const auto nic_on = [&](const char* nic, const char* leaf) {
    return boost::edge(index(*find_vertex(topology, nic)), index(*find_vertex(topology, leaf)), topology.graph).second;
  };
  EXPECT_TRUE(nic_on("node0/nic3", "leaf3"));
  EXPECT_TRUE(nic_on("node1/nic3", "leaf3"));
  EXPECT_TRUE(nic_on("node2/nic3", "leaf11"));
  EXPECT_EQ(cross_section(built("rail-optimised", servers(2)), 1), 400e9);
}

TEST(SingleNode, HoldsOneServerOnly) {
  EXPECT_EQ(built("single-node", servers(1)).gpus.size(), 8u);
  EXPECT_EQ(complaint("single-node", servers(2)),
            ": joins no servers, but there are 2; take leaf-spine, or one server");
}

TEST(Builders, SayWhatToChange) {
  EXPECT_EQ(complaint("leaf-spine", servers(8), R"({"spines": 0})"),
            "/spines: 2 leaves need at least one spine to join them");
  EXPECT_EQ(complaint("rail-optimised", servers(2), R"({"spines": 0})"),
            "/spines: 8 leaves need at least one spine to join them");
  EXPECT_EQ(complaint("leaf-spine", servers(8), R"({"spines": 2, "oversubscription": 2})"),
            "/oversubscription: give the spines or the oversubscription, not both: one follows from the other");
  TopologyInput in = servers(2);
  in.node.nics = 0;
  EXPECT_EQ(complaint("leaf-spine", in), ": 2 servers without a NIC cannot be joined; set nics");
  in.node.nics = 9;
  EXPECT_NE(complaint("leaf-spine", in).find("9 NICs are more than the 8 GPUs"), std::string::npos);
}

// 10,000,000 servers of 23 vertices are 230 million; the spines of an absurd link rate go beyond any integer.
TEST(Builders, RefuseAbsurdSizesBeforeTheyAllocate) {
  for (const char* name : {"leaf-spine", "rail-optimised", "rail-only", "single-node", "nvl72", "pcie-tree", "fat-tree",
                           "dragonfly", "nic-islands", "wan"})
    EXPECT_NE(complaint(name, servers(INT32_MAX)).find("more than the 100000 that can be simulated"), std::string::npos)
        << name;
  EXPECT_NE(complaint("leaf-spine", servers(8), R"({"link": "1e-300 GB/s"})").find("more than the 100000"),
            std::string::npos);
  // 2,000 leaves x 1,000 spines x 2 directions are 4 million links, and 2,000 servers of 58 links and 16 ports 148,000.
  EXPECT_NE(complaint("leaf-spine", servers(2000), R"({"nodes_per_leaf": 1, "spines": 1000})")
                .find("4148000 links are more than the 1000000"),
            std::string::npos);
}

TEST(NodeSpec, ReadsBackAsItWasWritten) {
  NodeSpec spec;
  spec.nics = 3;
  spec.nvlink = Rate{0};
  const OrderedJson json = to_json(spec);
  EXPECT_EQ(to_json(read_struct<NodeSpec>(parse_json(json.dump(), "test"), "test")), json);
}

// What every builder promises, on random servers with random options. The explicit list has no default, so its own
// tests cover it.
TEST(EveryTopology, JoinsAllGpusWithNamedLinksOfBothDirections) {
  for_random_topologies(40, [](const std::string&, const TopologyInput& in, const Topology& topology, Rng& rng) {
    ASSERT_EQ(topology.gpus.size(), size_t(in.nodes) * size_t(in.node.gpus));
    EXPECT_EQ(topology.nodes, in.nodes);
    EXPECT_EQ(topology.by_name.size(), boost::num_vertices(topology.graph));
    EXPECT_TRUE(Routes(topology, rng.next()).unjoined_gpus(1).empty());
    std::set<std::string> names;
    for (size_t link = 0; link < topology.links.size(); ++link) {
      EXPECT_TRUE(names.insert(link_name(topology, LinkId(link))).second);
      EXPECT_GT(topology.links[link].capacity, Rate{0});
      const LinkId reverse = topology.places[link].reverse;
      ASSERT_NE(reverse, kNoLink);
      EXPECT_EQ(topology.places[index(reverse)].from, topology.places[link].to);
      EXPECT_EQ(topology.places[index(reverse)].to, topology.places[link].from);
    }
  });
}

TEST(EveryTopology, IsTheSameEachTimeItIsBuilt) {
  std::map<uint64_t, uint64_t> digests;
  for (int time = 0; time < 2; ++time) {
    uint64_t built_so_far = 0;
    for_random_topologies(5, [&](const std::string&, const TopologyInput&, const Topology& topology, Rng&) {
      uint64_t digest = 0;
      for (size_t link = 0; link < topology.links.size(); ++link)
        for (const char c : link_name(topology, LinkId(link))) digest = splitmix64(digest ^ uint64_t(c));
      EXPECT_EQ(digests.try_emplace(built_so_far++, digest).first->second, digest);
    });
  }
}

// A server's GPUs are one run of vertices in every topology that repeats servers, and so are the parts that it shares
// with none: costs to a destination are kept for a run.
TEST(EveryTopology, NumbersEachServerInOneRun) {
  for_random_topologies(5, [](const std::string&, const TopologyInput&, const Topology& topology, Rng&) {
    std::set<int32_t> ended;
    int32_t last = kNoNode;
    for (const auto id : boost::make_iterator_range(boost::vertices(topology.graph))) {
      const int32_t node = topology.graph[id].node;
      if (node == last) continue;
      EXPECT_TRUE(ended.insert(node).second) << topology.graph[id].name;
      last = node;
    }
  });
}

}  // namespace
}  // namespace moesim
