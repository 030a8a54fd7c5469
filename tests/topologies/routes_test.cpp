#include "topologies/routes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "sim/core/check.h"
#include "sim/core/random.h"
#include "tests/topologies/built.h"
#include "tests/topologies/measures.h"

namespace moesim {
namespace {

Topology leaf_spine(int32_t nodes, const std::string& options, const NodeSpec& node = {}) {
  return built("leaf-spine", {nodes, node}, options);
}

// Counts of a fair draw among `bins` have a chi-square with bins - 1 degrees of freedom: mean bins - 1, variance twice
// that. Six deviations above the mean are beyond chance.
void expect_even(const std::map<VertexId, int>& counts, size_t bins, int draws) {
  ASSERT_EQ(counts.size(), bins);
  const double expected = double(draws) / double(bins);
  double chi_square = 0;
  for (const auto& [vertex, count] : counts) chi_square += (count - expected) * (count - expected) / expected;
  const double freedom = double(bins) - 1;
  EXPECT_LT(chi_square, freedom + 6 * std::sqrt(2 * freedom));
}

TEST(Routes, GpusOfAServerTalkOverNvlinkEvenWhereTheyShareAPcieSwitch) {
  EXPECT_EQ(way(leaf_spine(1, "{}"), "node0/gpu0", "node0/gpu1"), "node0/gpu0 node0/nvswitch node0/gpu1");
}

TEST(Routes, WithoutNvlinkTheyTalkOverPcie) {
  NodeSpec node;
  node.nvlink = Rate{0};
  const Topology topology = leaf_spine(1, "{}", node);
  EXPECT_EQ(way(topology, "node0/gpu0", "node0/gpu1"), "node0/gpu0 node0/pcie0 node0/gpu1");
  EXPECT_EQ(way(topology, "node0/gpu0", "node0/gpu7"),
            "node0/gpu0 node0/pcie0 node0/cpu0 node0/cpu1 node0/pcie3 node0/gpu7");
}

TEST(Routes, CopiesToTheHostCrossThePcieSwitch) {
  EXPECT_EQ(way(leaf_spine(1, "{}"), "node0/gpu5", "node0/cpu1"), "node0/gpu5 node0/pcie2 node0/cpu1");
}

// GPU 1 shares a PCIe switch with NIC 0 too, but leaves through its own, NIC 1, and so GPU 2 is entered.
// Latency: 4 PCIe links of 150 ns and two NIC ports of 1 us.
TEST(Routes, EachGpuLeavesAndIsEnteredThroughItsOwnNic) {
  const Topology topology = leaf_spine(2, "{}");
  EXPECT_EQ(way(topology, "node0/gpu1", "node1/gpu2"),
            "node0/gpu1 node0/pcie0 node0/nic1 leaf0 node1/nic2 node1/pcie1 node1/gpu2");
  Routes routes(topology, 1);
  const Path path = routes.path(topology.gpus[1], topology.gpus[10], 0);
  EXPECT_EQ(latency(topology, path), 2600_ns);
  EXPECT_EQ(narrowest(topology, path), 50_GBps);
}

// Up and down the spine are two more links, of 500 ns each.
TEST(Routes, OtherLeavesAreReachedOverASpine) {
  const Topology topology = leaf_spine(2, R"({"nodes_per_leaf": 1})");
  Routes routes(topology, 1);
  EXPECT_EQ(routes.hops(topology.gpus[0], topology.gpus[8]), 8);
  EXPECT_EQ(latency(topology, routes.path(topology.gpus[0], topology.gpus[8], 0)), 3600_ns);
  EXPECT_EQ(routes.every_shortest_path(topology.gpus[0], topology.gpus[8]).size(), 8u);  // one a spine
}

TEST(Routes, TheSameRailIsOneLeafApartAndAnotherASpine) {
  const Topology topology = built("rail-optimised", {4, {}});
  Routes routes(topology, 1);
  EXPECT_EQ(routes.hops(topology.gpus[3], topology.gpus[8 + 3]), 6);
  EXPECT_EQ(routes.hops(topology.gpus[3], topology.gpus[8 + 2]), 8);
}

TEST(Routes, FromAVertexToItselfThePathIsEmpty) {
  const Topology topology = leaf_spine(1, "{}");
  Routes routes(topology, 1);
  EXPECT_TRUE(routes.path(topology.gpus[0], topology.gpus[0], 7).empty());
  EXPECT_EQ(routes.hops(topology.gpus[0], topology.gpus[0]), 0);
  EXPECT_EQ(latency(topology, {}), Duration{});
}

// Servers 0 and 1 are 3 switches apart over the fabric, but the NIC of server 2 hangs on both of their switches.
TEST(Routes, NoFlowPassesThroughAThirdServer) {
  const Topology topology = built("graph", {3, {}}, R"({
    "vertices": [{"name": "a", "kind": "gpu", "node": 0}, {"name": "b", "kind": "gpu", "node": 1}, {"name": "c", "kind": "gpu", "node": 2},
                 {"name": "nic", "kind": "nic", "node": 2}, {"name": "l0", "kind": "leaf"}, {"name": "l1", "kind": "leaf"},
                 {"name": "s", "kind": "spine"}, {"name": "t", "kind": "spine"}, {"name": "u", "kind": "spine"}],
    "links": [{"from": "a", "to": "l0", "rate": "1 GB/s"}, {"from": "b", "to": "l1", "rate": "1 GB/s"}, {"from": "c", "to": "nic", "rate": "1 GB/s"},
              {"from": "nic", "to": "l0", "rate": "1 GB/s"}, {"from": "nic", "to": "l1", "rate": "1 GB/s"}, {"from": "l0", "to": "s", "rate": "1 GB/s"},
              {"from": "s", "to": "t", "rate": "1 GB/s"}, {"from": "t", "to": "u", "rate": "1 GB/s"}, {"from": "u", "to": "l1", "rate": "1 GB/s"}]})");
  EXPECT_EQ(way(topology, "a", "b"), "a l0 s t u l1 b");
  EXPECT_EQ(way(topology, "a", "c"), "a l0 nic c");
  EXPECT_EQ(way(topology, "c", "b"), "c nic l1 b");
}

// A rack whose NVSwitch joins two servers (as in NVL72): NVLink is taken though both GPUs have a NIC.
TEST(Routes, NvlinkBetweenServersComesBeforeTheirNics) {
  const Topology topology = built("graph", {2, {}}, R"({
    "vertices": [{"name": "a", "kind": "gpu", "node": 0, "nic": "n0"}, {"name": "b", "kind": "gpu", "node": 1, "nic": "n1"},
                 {"name": "n0", "kind": "nic", "node": 0}, {"name": "n1", "kind": "nic", "node": 1},
                 {"name": "sw", "kind": "nvswitch"}, {"name": "leaf", "kind": "leaf"}],
    "links": [{"from": "a", "to": "sw", "rate": "900 GB/s"}, {"from": "b", "to": "sw", "rate": "900 GB/s"},
              {"from": "a", "to": "n0", "rate": "50 GB/s"}, {"from": "b", "to": "n1", "rate": "50 GB/s"},
              {"from": "n0", "to": "leaf", "rate": "50 GB/s"}, {"from": "n1", "to": "leaf", "rate": "50 GB/s"}]})");
  EXPECT_EQ(way(topology, "a", "b"), "a sw b");
}

TEST(Routes, UnjoinedEndsHaveNoPath) {
  Topology topology;
  const VertexId a = add_vertex(topology, {VertexKind::switch_, "a"});
  const VertexId b = add_vertex(topology, {VertexKind::switch_, "b"});
  Routes routes(topology, 1);
  EXPECT_FALSE(routes.hops(a, b).has_value());
  EXPECT_TRUE(routes.every_shortest_path(a, b).empty());
  EXPECT_THROW(routes.path(a, b, 0), InternalError);
}

TEST(Routes, OnRandomClustersEveryPathIsSoundShortestAndTheSameForTheSameKey) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    NodeSpec node;
    node.gpus = int32_t(rng.between(1, 8));
    node.nics = int32_t(rng.between(1, node.gpus));
    node.gpus_per_pcie_switch = int32_t(rng.between(1, 4));
    if (rng.below(2) == 0) node.nvlink = Rate{0};
    const bool rails = rng.below(2) == 0;
    const std::string size = std::to_string(rng.between(1, 3));
    const Topology topology = built(rails ? "rail-optimised" : "leaf-spine", {int32_t(rng.between(1, 6)), node},
                                    rails ? "{\"nodes_per_pod\": " + size + "}" : "{\"nodes_per_leaf\": " + size + "}");
    Routes routes(topology, seed);
    Routes again(topology, seed);
    std::vector<std::pair<Path, std::vector<LinkId>>> kept;
    for (int draw = 0; draw < 100; ++draw) {
      const VertexId from = topology.gpus[rng.below(topology.gpus.size())];
      const VertexId to = topology.gpus[rng.below(topology.gpus.size())];
      const uint64_t key = rng.next();
      const Path path = routes.path(from, to, key);
      expect_sound(topology, path, from, to);
      EXPECT_EQ(path.data(), routes.path(from, to, key).data());
      EXPECT_TRUE(std::ranges::equal(path, again.path(from, to, key)));
      kept.emplace_back(path, std::vector<LinkId>(path.begin(), path.end()));

      const auto every = routes.every_shortest_path(from, to);
      EXPECT_EQ(std::set(every.begin(), every.end()).size(), every.size());
      EXPECT_TRUE(std::ranges::any_of(every, [&](const auto& one) { return std::ranges::equal(one, path); }));
      for (const auto& one : every) EXPECT_EQ(int32_t(one.size()), *routes.hops(from, to));
      if (vertex(topology, from).node != vertex(topology, to).node) {
        EXPECT_TRUE(std::ranges::any_of(
            path, [&](LinkId link) { return topology.places[index(link)].to == vertex(topology, from).nic; }));
        EXPECT_TRUE(std::ranges::any_of(
            path, [&](LinkId link) { return topology.places[index(link)].to == vertex(topology, to).nic; }));
      }
    }
    for (const auto& [path, links] : kept) EXPECT_TRUE(std::ranges::equal(path, links));  // spans stay valid
  }
}

// The oracle: all-pairs distances by Floyd and Warshall's recurrence, over what may forward, and the number of shortest
// paths by counting along them.
TEST(Routes, OnRandomGraphsTheyAreAllTheShortestPaths) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const int vertices = int(rng.between(2, 12));
    Topology topology;
    for (int i = 0; i < vertices; ++i)
      add_vertex(topology, {rng.below(3) == 0 ? VertexKind::gpu : VertexKind::switch_, std::to_string(i)});
    const int64_t links = rng.between(vertices, 3 * vertices);
    for (int64_t i = 0; i < links; ++i) {
      const VertexId from{int32_t(rng.below(uint64_t(vertices)))};
      const VertexId to{int32_t(rng.below(uint64_t(vertices)))};
      if (from != to) add_one_way_link(topology, from, to, {1_GBps, 1_ns}, LinkKind::fabric);  // parallel ones too
    }

    constexpr int kFar = 1000;
    std::vector<std::vector<int>> distance(size_t(vertices), std::vector<int>(size_t(vertices), kFar));
    for (size_t i = 0; i < size_t(vertices); ++i) distance[i][i] = 0;
    for (const LinkPlace& place : topology.places) distance[index(place.from)][index(place.to)] = 1;
    for (size_t via = 0; via < size_t(vertices); ++via) {
      if (topology.graph[via].kind == VertexKind::gpu) continue;
      for (size_t i = 0; i < size_t(vertices); ++i)
        for (size_t j = 0; j < size_t(vertices); ++j)
          distance[i][j] = std::min(distance[i][j], distance[i][via] + distance[via][j]);
    }
    const auto paths = [&](const auto& self, size_t from, size_t to) -> size_t {
      if (from == to) return 1;
      size_t sum = 0;
      for (const LinkPlace& place : topology.places) {
        const size_t next = index(place.to);
        const bool forwards = next == to || topology.graph[next].kind != VertexKind::gpu;
        if (index(place.from) == from && forwards && distance[next][to] + 1 == distance[from][to])
          sum += self(self, next, to);
      }
      return sum;
    };

    Routes routes(topology, seed);
    for (size_t from = 0; from < size_t(vertices); ++from)
      for (size_t to = 0; to < size_t(vertices); ++to) {
        const auto hops = routes.hops(VertexId(from), VertexId(to));
        ASSERT_EQ(hops.value_or(kFar), std::min(distance[from][to], kFar));
        const auto every = routes.every_shortest_path(VertexId(from), VertexId(to));
        ASSERT_EQ(every.size(), hops ? paths(paths, from, to) : 0);
        for (const auto& path : every) expect_sound(topology, path, VertexId(from), VertexId(to));
        if (hops)
          expect_sound(topology, routes.path(VertexId(from), VertexId(to), rng.next()), VertexId(from), VertexId(to));
      }
  }
}

VertexId spine_of(const Topology& topology, Path path) {
  for (const LinkId link : path)
    if (vertex(topology, topology.places[index(link)].to).kind == VertexKind::spine)
      return topology.places[index(link)].to;
  return kNoVertex;
}

TEST(Routes, FlowsOfOnePairSpreadEvenlyOverTheSpines) {
  const Topology topology = leaf_spine(2, R"({"nodes_per_leaf": 1, "spines": 12})");
  for (uint64_t seed = 0; seed < 5; ++seed) {
    SCOPED_TRACE(seed);
    Routes routes(topology, seed);
    std::map<VertexId, int> counts;
    for (uint64_t key = 0; key < 24'000; ++key)
      ++counts[spine_of(topology, routes.path(topology.gpus[0], topology.gpus[8], key))];
    expect_even(counts, 12, 24'000);
  }
}

TEST(Routes, PairsOfOneKeySpreadEvenlyOverTheSpines) {
  const Topology topology = leaf_spine(16, R"({"nodes_per_leaf": 8, "spines": 7})");
  Routes routes(topology, 3);
  std::map<VertexId, int> counts;
  for (int from = 0; from < 64; ++from)
    for (int to = 64; to < 128; ++to)
      ++counts[spine_of(topology, routes.path(topology.gpus[size_t(from)], topology.gpus[size_t(to)], 5))];
  expect_even(counts, 7, 64 * 64);
}

// Three forks of two in a row, a0 - {b, c} - d - {e, f} - g - {h, i} - z: all eight ways must be as likely.
TEST(Routes, ForksInARowSplitIndependently) {
  Topology topology;
  std::map<char, VertexId> at;
  for (const char name : std::string("abcdefghiz"))
    at[name] = add_vertex(topology, {VertexKind::switch_, std::string(1, name)});
  for (const char* link : {"ab", "ac", "bd", "cd", "de", "df", "eg", "fg", "gh", "gi", "hz", "iz"})
    add_link(topology, at[link[0]], at[link[1]], {1_GBps, 1_ns}, LinkKind::fabric);
  Routes routes(topology, 11);
  std::map<std::string, int> ways;
  for (uint64_t key = 0; key < 16'000; ++key) ++ways[names(topology, routes.path(at['a'], at['z'], key))];
  std::map<VertexId, int> counts;
  for (const auto& [name, count] : ways) counts[VertexId(counts.size())] = count;
  expect_even(counts, 8, 16'000);
}

TEST(Routes, EqualPathsAreStoredOnce) {
  const Topology topology = leaf_spine(2, R"({"nodes_per_leaf": 1, "spines": 4})");
  Routes routes(topology, 1);
  std::set<const LinkId*> stored;
  for (uint64_t key = 0; key < 1000; ++key) stored.insert(routes.path(topology.gpus[0], topology.gpus[8], key).data());
  EXPECT_EQ(stored.size(), 4u);
}

// With 8 spines, two seeds agree on one flow in eight by chance: of 1000 flows 125, deviation sqrt(1000/8*7/8) = 10.5.
TEST(Routes, AnotherSeedMakesOtherCollisions) {
  const Topology topology = leaf_spine(2, R"({"nodes_per_leaf": 1})");
  Routes first(topology, 1);
  Routes second(topology, 2);
  int agree = 0;
  for (uint64_t key = 0; key < 1000; ++key)
    agree += std::ranges::equal(first.path(topology.gpus[0], topology.gpus[8], key),
                                second.path(topology.gpus[0], topology.gpus[8], key));
  EXPECT_NEAR(agree, 125, 63);
}

TEST(Routes, StayValidWhenTheyMove) {
  const Topology topology = leaf_spine(2, "{}");
  Routes routes(topology, 1);
  const Path path = routes.path(topology.gpus[0], topology.gpus[8], 0);
  Routes moved = std::move(routes);
  EXPECT_EQ(moved.path(topology.gpus[0], topology.gpus[8], 0).data(), path.data());
}

// GPUs of one server that stay off NVLink: out through the NIC of the one and in through that of the other, over the
// fabric as if they were in two servers; with one NIC for both, through that. Without a fabric they keep to NVLink.
TEST(Routes, GoByNicInsideAServerToo) {
  const auto by_nics = [](const Topology& topology, const std::string& from, const std::string& to) {
    Routes routes(topology, 1);
    const VertexId source = by_nic(topology, *find_vertex(topology, from));
    const VertexId target = by_nic(topology, *find_vertex(topology, to));
    const Path path = routes.path(source, target, 0);
    EXPECT_EQ(routes.choices(source, target).size(), 1u);
    EXPECT_EQ(names(topology, routes.choices(source, target)[0]), names(topology, path));
    return names(topology, path);
  };
  const Topology two = leaf_spine(2, R"({"nodes_per_leaf": 2})");
  EXPECT_EQ(by_nics(two, "node0/gpu0", "node0/gpu1"),
            "node0/gpu0 node0/pcie0 node0/nic0 leaf0 node0/nic1 node0/pcie0 node0/gpu1");
  EXPECT_EQ(by_nics(two, "node0/gpu3", "node1/gpu2"), way(two, "node0/gpu3", "node1/gpu2"));
  EXPECT_EQ(by_nics(two, "node0/gpu3", "node0/gpu3"), "");
  const Topology rails = built("rail-optimised", {2, NodeSpec{}}, R"({"spines": 1})");
  EXPECT_EQ(by_nics(rails, "node0/gpu0", "node0/gpu1"),
            "node0/gpu0 node0/pcie0 node0/nic0 leaf0 spine0 leaf1 node0/nic1 node0/pcie0 node0/gpu1");
  NodeSpec shared;
  shared.gpus = 2;
  shared.nics = 1;
  EXPECT_EQ(by_nics(leaf_spine(2, "{}", shared), "node0/gpu0", "node0/gpu1"),
            "node0/gpu0 node0/pcie0 node0/nic0 node0/pcie0 node0/gpu1");
  NodeSpec alone;
  alone.nics = 0;
  const Topology one = built("single-node", {1, alone});
  EXPECT_EQ(by_nics(one, "node0/gpu0", "node0/gpu1"), way(one, "node0/gpu0", "node0/gpu1"));
}

}  // namespace
}  // namespace moesim
