#include <gtest/gtest.h>

#include "tests/topologies/built.h"
#include "tests/topologies/measures.h"
#include "topologies/routes.h"

namespace moesim {
namespace {

// a = 4, h = 2, p = 2: groups of 8 hosts, at the most 4 x 2 + 1 = 9 of them.
constexpr const char* kSmall = R"({"routers": 4, "global_links": 2, "nics": 2})";

int group_of(const Topology& topology, VertexId router) { return std::stoi(vertex(topology, router).name.substr(5)); }

int links_between(const Topology& topology, int a, int b) {
  int links = 0;
  for (const LinkPlace& place : topology.places)
    links += place.kind == LinkKind::global && group_of(topology, place.from) == a && group_of(topology, place.to) == b;
  return links;
}

size_t crossed(const Topology& topology, Path path, LinkKind kind) {
  size_t links = 0;
  for (const LinkId link : path) links += topology.places[index(link)].kind == kind;
  return links;
}

// 9 groups of 4 routers with 6 local links, and one global link between each two groups: 9 x 8 / 2 = 36.
TEST(Dragonfly, AFullOneHasOneLinkBetweenEachTwoGroups) {
  const Topology topology = built("dragonfly", hosts(72), kSmall);
  EXPECT_EQ(count(topology, VertexKind::router), 36);
  EXPECT_EQ(count(topology, LinkKind::fabric), 2 * 9 * 6);
  EXPECT_EQ(count(topology, LinkKind::global), 2 * 36);
  for (int a = 0; a < 9; ++a)
    for (int b = 0; b < 9; ++b) EXPECT_EQ(links_between(topology, a, b), a != b) << a << " " << b;
  for (const auto id : boost::make_iterator_range(boost::vertices(topology.graph))) {
    if (topology.graph[id].kind == VertexKind::router) {
      EXPECT_EQ(boost::out_degree(id, topology.graph), size_t(2 + 3 + 2)) << topology.graph[id].name;
    }
  }
}

// 24 hosts are 3 groups, and 8 ports of each are 4 for each of the other two.
TEST(Dragonfly, FewGroupsShareAllPortsEvenly) {
  const Topology topology = built("dragonfly", hosts(24), kSmall);
  for (int a = 0; a < 3; ++a)
    for (int b = 0; b < 3; ++b) EXPECT_EQ(links_between(topology, a, b), a == b ? 0 : 4);
  for (const auto id : boost::make_iterator_range(boost::vertices(topology.graph))) {
    if (topology.graph[id].kind == VertexKind::router) {
      EXPECT_EQ(boost::out_degree(id, topology.graph), size_t(2 + 3 + 2)) << topology.graph[id].name;
    }
  }
}

// Kim et al.: a minimal path has at most one local link, one global link and one local link. Over two global links some
// of these pairs would be fewer hops apart.
TEST(Dragonfly, AMinimalPathCrossesOneGlobalLinkAndALocalOneOnEachSide) {
  for (const int32_t nodes : {72, 24, 40}) {
    const Topology topology = built("dragonfly", hosts(nodes), kSmall);
    Routes routes(topology, 1);
    for (int from = 0; from < nodes; ++from)
      for (int to = 0; to < nodes; ++to)
        for (const Path path : routes.choices(topology.gpus[size_t(from)], topology.gpus[size_t(to)])) {
          const bool same_group = from / 8 == to / 8;
          EXPECT_EQ(crossed(topology, path, LinkKind::global), same_group ? 0u : 1u) << from << " " << to;
          EXPECT_LE(crossed(topology, path, LinkKind::fabric), same_group ? 1u : 2u) << from << " " << to;
        }
  }
}

// A group's 8 hosts send 8 x 50 GB/s over its 8 global links of 50 GB/s.
TEST(Dragonfly, AGroupSendsAsMuchAsItsGlobalLinksCarry) {
  EXPECT_EQ(cross_section(built("dragonfly", hosts(72), kSmall), 8), 400e9);
  EXPECT_EQ(cross_section(built("dragonfly", hosts(72),
                                R"({"routers": 4, "global_links": 2, "nics": 2, "global_link": "25 GB/s"})"),
                          8),
            200e9);
}

// a = 2 h = 2 p: h = 1 holds 2 x 3 = 6 hosts, h = 2 holds 8 x 9 = 72.
TEST(Dragonfly, TheSmallestBalancedOneIsTaken) {
  EXPECT_EQ(count(built("dragonfly", hosts(6)), VertexKind::router), 3 * 2);
  EXPECT_EQ(count(built("dragonfly", hosts(7)), VertexKind::router), 1 * 4);
  EXPECT_EQ(count(built("dragonfly", hosts(72)), VertexKind::router), 9 * 4);
  EXPECT_EQ(count(built("dragonfly", hosts(72), R"({"nics": 3})"), VertexKind::router),
            4 * 6);  // p = 3: a = 6, 18 a group
}

TEST(Dragonfly, SaysWhatToChange) {
  EXPECT_EQ(complaint("dragonfly", hosts(73), kSmall),
            "/global_links: 73 NICs fill 10 groups of 4 routers with 2 NICs each, but 2 global links a router join 9 "
            "groups at the most");
  EXPECT_NE(complaint("dragonfly", hosts(2), R"({"routers": 0})"), "");
}

}  // namespace
}  // namespace moesim
