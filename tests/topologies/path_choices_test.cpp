// All equal-cost paths of a pair, and paths past failed links.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "sim/core/check.h"
#include "tests/topologies/built.h"
#include "tests/topologies/measures.h"
#include "tests/topologies/random_options.h"
#include "topologies/routes.h"

namespace moesim {
namespace {

std::vector<LinkId> links_of(Path path) { return {path.begin(), path.end()}; }

VertexId random_gpu(const Topology& topology, Rng& rng) { return topology.gpus[rng.below(topology.gpus.size())]; }

TEST(Choices, BetweenTwoLeavesThereIsOneASpineInOrder) {
  const Topology topology = built("leaf-spine", servers(2), R"({"nodes_per_leaf": 1, "spines": 12})");
  Routes routes(topology, 1);
  const auto choices = routes.choices(topology.gpus[3], topology.gpus[9]);
  ASSERT_EQ(choices.size(), 12u);
  for (size_t spine = 0; spine < 12; ++spine)
    EXPECT_EQ(names(topology, choices[spine]), "node0/gpu3 node0/pcie1 node0/nic3 leaf0 spine" + std::to_string(spine) +
                                                   " leaf1 node1/nic1 node1/pcie0 node1/gpu1");
}

// The oracle lists the paths by walking them, and every_shortest_path() is checked against counts of its own.
TEST(Choices, AreEveryShortestPathInOrderAndStayWhereTheyAre) {
  for_random_topologies(10, [](const std::string&, const TopologyInput&, const Topology& topology, Rng& rng) {
    Routes routes(topology, rng.next());
    std::vector<std::pair<Path, std::vector<LinkId>>> kept;
    for (int draw = 0; draw < 10; ++draw) {
      const VertexId from = random_gpu(topology, rng);
      const VertexId to = random_gpu(topology, rng);
      const auto choices = routes.choices(from, to);
      EXPECT_EQ(choices.data(), routes.choices(from, to).data());
      const auto every = routes.every_shortest_path(from, to);
      ASSERT_EQ(choices.size(), every.size());
      for (size_t i = 0; i < every.size(); ++i) EXPECT_EQ(links_of(choices[i]), every[i]);
      for (const Path path : choices) {
        expect_sound(topology, path, from, to);
        kept.emplace_back(path, links_of(path));
      }
      const Path chosen = routes.path(from, to, rng.next());
      EXPECT_NE(std::find(every.begin(), every.end(), links_of(chosen)), every.end());
    }
    for (const auto& [path, links] : kept) EXPECT_EQ(links_of(path), links);
  });
}

// Forks of `ways` parallel links in a row: ways^forks paths.
Topology chain(int forks, int ways) {
  Topology topology;
  VertexId last = add_vertex(topology, {VertexKind::switch_, "0"});
  for (int fork = 1; fork <= forks; ++fork) {
    const VertexId next = add_vertex(topology, {VertexKind::switch_, std::to_string(fork)});
    for (int way = 0; way < ways; ++way) add_one_way_link(topology, last, next, {1_GBps, 1_ns}, LinkKind::fabric);
    last = next;
  }
  return topology;
}

// 8^5 = 32,768 paths are eight times the most. Every eighth is taken, so each link of the first four forks lies on as
// many of the choices, 4096 / 8; at the fifth, every eighth path takes the first link.
TEST(Choices, BeyondTheMostTheyAreSpreadEvenly) {
  const Topology topology = chain(5, 8);
  Routes routes(topology, 1);
  const auto choices = routes.choices(VertexId{0}, VertexId{5});
  ASSERT_EQ(choices.size(), Routes::kChoicesMax);
  std::map<LinkId, int> crossed;
  std::set<std::vector<LinkId>> different;
  for (const Path path : choices) {
    different.insert(links_of(path));
    for (const LinkId link : path) ++crossed[link];
  }
  EXPECT_EQ(different.size(), Routes::kChoicesMax);
  for (int link = 0; link < 32; ++link) EXPECT_EQ(crossed[LinkId{link}], 4096 / 8) << link;
  EXPECT_EQ(crossed[LinkId{32}], 4096);
}

// 16^20 = 2^80 paths are more than can be counted.
TEST(Choices, MoreThanCanBeCountedAreStillDifferentPaths) {
  const Topology topology = chain(20, 16);
  Routes routes(topology, 1);
  std::set<std::vector<LinkId>> different;
  for (const Path path : routes.choices(VertexId{0}, VertexId{20})) {
    EXPECT_EQ(path.size(), 20u);
    different.insert(links_of(path));
  }
  EXPECT_EQ(different.size(), Routes::kChoicesMax);
}

TEST(Choices, OfAVertexToItselfThereIsTheEmptyPathAndOfUnjoinedOnesNone) {
  Topology topology = chain(1, 2);
  Routes routes(topology, 1);
  ASSERT_EQ(routes.choices(VertexId{0}, VertexId{0}).size(), 1u);
  EXPECT_TRUE(routes.choices(VertexId{0}, VertexId{0})[0].empty());
  EXPECT_THROW(routes.choices(VertexId{1}, VertexId{0}), InternalError);
}

// Marks the link with this name and its reverse.
void fail(const Topology& topology, const std::string& name, std::vector<bool>& failed) {
  failed.resize(topology.links.size());
  for (size_t link = 0; link < topology.links.size(); ++link)
    if (link_name(topology, LinkId(link)) == name) failed[link] = failed[index(topology.places[link].reverse)] = true;
}

// Of 4 spines one is cut off. The flows that crossed it take the three others, and the rest stay.
TEST(PathAvoiding, OnlyFlowsOverTheFailedLinkMoveAndTheySpread) {
  const Topology topology = built("leaf-spine", servers(2), R"({"nodes_per_leaf": 1, "spines": 4})");
  Routes routes(topology, 1);
  std::vector<bool> failed;
  fail(topology, "leaf0 -> spine2", failed);
  routes.set_failed(failed);
  std::map<std::string, int> moved_to;
  for (uint64_t key = 0; key < 4000; ++key) {
    const Path usual = routes.path(topology.gpus[0], topology.gpus[8], key);
    const std::optional<Path> now = routes.path_avoiding(topology.gpus[0], topology.gpus[8], key);
    ASSERT_TRUE(now.has_value());
    if (names(topology, usual).find("spine2") == std::string::npos)
      EXPECT_EQ(now->data(), usual.data());
    else
      ++moved_to[names(topology, *now)];
  }
  ASSERT_EQ(moved_to.size(), 3u);  // about 1,000 flows, a third each: 333, deviation sqrt(1000 x 2 / 9) = 15
  for (const auto& [name, flows] : moved_to) EXPECT_NEAR(flows, 333, 6 * 15 + 6 * 10) << name;
  routes.set_failed({});
  for (uint64_t key = 0; key < 100; ++key)
    EXPECT_EQ(routes.path_avoiding(topology.gpus[0], topology.gpus[8], key)->data(),
              routes.path(topology.gpus[0], topology.gpus[8], key).data());
}

// A GPU whose NIC has lost its port hands over to another of its server; NIC 0 comes first.
TEST(PathAvoiding, ADeadPortIsAvoidedThroughAnotherGpu) {
  const Topology topology = built("rail-optimised", servers(2));
  Routes routes(topology, 1);
  std::vector<bool> failed;
  fail(topology, "node0/nic3 -> leaf3", failed);
  routes.set_failed(failed);
  const std::optional<Path> path = routes.path_avoiding(topology.gpus[3], topology.gpus[8 + 3], 0);
  ASSERT_TRUE(path.has_value());
  EXPECT_EQ(names(topology, *path).substr(0, 71),
            "node0/gpu3 node0/nvswitch node0/gpu0 node0/pcie0 node0/nic0 leaf0 spine");
}

TEST(PathAvoiding, GpusOfAServerFallBackToPcie) {
  const Topology topology = built("single-node", servers(1));
  Routes routes(topology, 1);
  std::vector<bool> failed;
  fail(topology, "node0/gpu1 -> node0/nvswitch", failed);
  routes.set_failed(failed);
  EXPECT_EQ(names(topology, *routes.path_avoiding(topology.gpus[0], topology.gpus[1], 0)),
            "node0/gpu0 node0/pcie0 node0/gpu1");
  fail(topology, "node0/gpu1 -> node0/pcie0", failed);
  routes.set_failed(failed);
  EXPECT_FALSE(routes.path_avoiding(topology.gpus[0], topology.gpus[1], 0).has_value());
}

// In a dragonfly the only link between two groups fails: the way leads through a third group, over two global links.
TEST(PathAvoiding, AGroupIsReachedThroughAThirdOne) {
  const Topology topology = built("dragonfly", hosts(72), R"({"routers": 4, "global_links": 2, "nics": 2})");
  Routes routes(topology, 1);
  const Path usual = routes.path(topology.gpus[0], topology.gpus[71], 0);
  std::vector<bool> failed(topology.links.size());
  for (const LinkId link : usual)
    if (topology.places[index(link)].kind == LinkKind::global) failed[index(link)] = true;
  routes.set_failed(failed);
  const std::optional<Path> path = routes.path_avoiding(topology.gpus[0], topology.gpus[71], 0);
  ASSERT_TRUE(path.has_value());
  EXPECT_EQ(std::count_if(path->begin(), path->end(),
                          [&](LinkId link) { return topology.places[index(link)].kind == LinkKind::global; }),
            2);
}

// Whether any path joins the two that passes through no GPU and no third server, and does not come back to the first.
bool joined_without(const Topology& topology, VertexId from, VertexId to, const std::vector<bool>& failed) {
  std::vector<VertexId> reached{from};
  std::set<VertexId> seen{from};
  for (size_t next = 0; next < reached.size(); ++next)
    for (size_t link = 0; link < topology.places.size(); ++link) {
      const VertexId end = topology.places[link].to;
      if (failed[link] || topology.places[link].from != reached[next] || seen.contains(end)) continue;
      if (end == to) return true;
      const Vertex& between = vertex(topology, end);
      const bool allowed = between.node == kNoNode || between.node == vertex(topology, reached[next]).node ||
                           between.node == vertex(topology, to).node;
      if (between.kind != VertexKind::gpu && allowed && seen.insert(end).second) reached.push_back(end);
    }
  return false;
}

TEST(PathAvoiding, OnRandomTopologiesItCrossesNoFailedLinkAndFindsAWayWhereThereIsOne) {
  int found = 0;
  int cut_off = 0;
  for_random_topologies(12, [&](const std::string&, const TopologyInput&, const Topology& topology, Rng& rng) {
    Routes routes(topology, rng.next());
    std::vector<bool> failed(topology.links.size());
    for (size_t link = 0; link < failed.size(); ++link)
      if (rng.below(8) == 0) failed[link] = failed[index(topology.places[link].reverse)] = true;
    routes.set_failed(failed);
    for (int draw = 0; draw < 20; ++draw) {
      const VertexId from = random_gpu(topology, rng);
      const VertexId to = random_gpu(topology, rng);
      const std::optional<Path> path = routes.path_avoiding(from, to, rng.next());
      if (!path) {
        EXPECT_FALSE(joined_without(topology, from, to, failed));
        ++cut_off;
        continue;
      }
      ++found;
      expect_sound(topology, *path, from, to);
      for (const LinkId link : *path) EXPECT_FALSE(failed[index(link)]);
    }
  });
  EXPECT_GT(found, 200);
  EXPECT_GT(cut_off, 200);
}

}  // namespace
}  // namespace moesim
