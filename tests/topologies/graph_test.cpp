// The explicit list of vertices and links.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/topologies/built.h"
#include "topologies/routes.h"

namespace moesim {
namespace {

TopologyInput servers(int32_t nodes) {
  TopologyInput in;
  in.nodes = nodes;
  return in;
}

constexpr const char* kTwoGpusOnASwitch = R"({
  "vertices": [{"name": "b", "kind": "gpu", "node": 0}, {"name": "s", "kind": "switch"}, {"name": "a", "kind": "gpu", "node": 1}],
  "links": [{"from": "a", "to": "s", "rate": "10 GB/s", "latency": "1 us"}, {"from": "s", "to": "b", "rate": "20 GB/s"}]})";

TEST(Graph, GpusAreNumberedInOrderOfListing) {
  const Topology topology = built("graph", servers(2), kTwoGpusOnASwitch);
  ASSERT_EQ(topology.gpus.size(), 2u);
  EXPECT_EQ(vertex(topology, vertex_of(topology, GpuId{0})).name, "b");
  EXPECT_EQ(node_of(topology, GpuId{1}), 1);
}

TEST(Graph, LinksAreDuplexUnlessToldOtherwise) {
  const Topology topology = built("graph", servers(2), kTwoGpusOnASwitch);
  EXPECT_EQ(topology.links.size(), 4u);
  Routes routes(topology, 0);
  const Path path = routes.path(topology.gpus[1], topology.gpus[0], 0);
  EXPECT_EQ(path.size(), 2u);
  EXPECT_EQ(narrowest(topology, path), 10_GBps);
  EXPECT_EQ(latency(topology, path), 1_us);
}

// With one direction only from a to b, b does not reach a: the pair is named, in that order.
TEST(Graph, NamesThePairsThatNoPathJoins) {
  EXPECT_EQ(complaint("graph", servers(1), R"({
    "vertices": [{"name": "a", "kind": "gpu", "node": 0}, {"name": "b", "kind": "gpu", "node": 0}],
    "links": [{"from": "a", "to": "b", "rate": "1 GB/s", "duplex": false}]})"),
            "/links: no path leads from GPU \"b\" to \"a\"");
}

// b lies between a and c, but is a GPU, and GPUs do not forward.
TEST(Graph, AGpuJoinsNoOthers) {
  EXPECT_EQ(complaint("graph", servers(1), R"({
    "vertices": [{"name": "a", "kind": "gpu", "node": 0}, {"name": "b", "kind": "gpu", "node": 0}, {"name": "c", "kind": "gpu", "node": 0}],
    "links": [{"from": "a", "to": "b", "rate": "1 GB/s"}, {"from": "b", "to": "c", "rate": "1 GB/s"}]})"),
            "/links: no path leads from GPU \"c\" to \"a\"\n/links: no path leads from "
            "GPU \"a\" to \"c\"");
}

TEST(Graph, ReportsEveryFaultAtOnce) {
  EXPECT_EQ(complaint("graph", servers(2), R"({
    "vertices": [{"name": "a", "kind": "gpu", "node": 0, "nic": "n1"}, {"name": "a", "kind": "switch"}, {"name": "x y", "kind": "leaf"},
                 {"name": "n1", "kind": "nic", "node": 1}, {"name": "g", "kind": "gpu"}, {"name": "far", "kind": "cpu", "node": 2},
                 {"name": "h", "kind": "gpu", "node": 0, "nic": "n2"}, {"name": "i", "kind": "gpu", "node": 0, "nic": "a"},
                 {"name": "l", "kind": "leaf", "nic": "n1"}],
    "links": [{"from": "a", "to": "fra", "rate": "1 GB/s"}, {"from": "a", "to": "a", "rate": "1 GB/s"}]})"),
            "/vertices/1/name: \"a\" is the name of an earlier vertex too\n"
            "/vertices/2/name: a name has 1 to 200 characters: letters, digits and ._-/:\n"
            "/vertices/0/nic: \"n1\" sits in another server than \"a\"\n"
            "/vertices/4: GPU \"g\" needs the number of its server, node\n"
            "/vertices/5/node: 2, but the cluster's servers are 0 to 1\n"
            "/vertices/6/nic: there is no vertex \"n2\"; did you mean \"n1\"?\n"
            "/vertices/7/nic: \"a\" is not a NIC\n"
            "/vertices/8/nic: only GPUs have one\n"
            "/vertices: server 1 of the cluster's 2 has no GPU\n"
            "/links/0/to: there is no vertex \"fra\"; did you mean \"far\"?\n"
            "/links/1: leads from a vertex to itself");
  EXPECT_EQ(complaint("graph", servers(1), R"({"vertices": [], "links": []})"),
            "/vertices: there is no GPU among them");
}

TEST(Graph, RefusesALongListBeforeItBuildsIt) {
  std::string options = R"({"links": [], "vertices": [{"name": "g", "kind": "gpu", "node": 0})";
  for (int i = 0; i < 20'000; ++i) options += R"(,{"name": "s", "kind": "leaf"})";
  EXPECT_EQ(complaint("graph", servers(1), options + "]}"),
            "/vertices: 20001 vertices are more than the 20000 that a list may hold; take "
            "another builder");
}

// A list of a GPU on each of two servers and other vertices, joined at random. One name in fifty is unknown.
std::string random_list(Rng& rng) {
  const uint64_t vertices = 3 + rng.below(6);
  const auto name = [&] { return rng.below(vertices) + (rng.below(50) == 0 ? vertices : 0); };
  std::vector<std::string> listed;
  for (uint64_t i = 0; i < vertices; ++i) {
    const size_t kind = i < 2 ? 0 : rng.below(6);
    std::string text = fmt::format(R"({{"name": "v{}", "kind": "{}")", i,
                                   std::to_array({"gpu", "nic", "nvswitch", "cpu", "leaf", "spine"})[kind]);
    if (kind < 4) text += fmt::format(R"(, "node": {})", i < 2 ? i : rng.below(2));
    if (kind == 0 && rng.below(6) == 0) text += fmt::format(R"(, "nic": "v{}")", name());
    listed.push_back(text + "}");
  }
  std::vector<std::string> links;
  for (uint64_t i = 0; i < vertices; ++i)
    for (uint64_t j = 0; j < i; ++j)
      if (rng.below(2) == 0)
        links.push_back(fmt::format(R"({{"from": "v{}", "to": "v{}", "rate": "1 GB/s", "duplex": {}}})", i,
                                    rng.below(50) == 0 ? name() : j, rng.below(8) != 0));
  return fmt::format(R"({{"vertices": [{}], "links": [{}]}})", fmt::join(listed, ","), fmt::join(links, ","));
}

// Either something is said against a list, or all its GPUs are joined; and both happen.
TEST(Graph, AcceptsNoListThatLeavesGpusUnjoined) {
  int accepted = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const std::string options = random_list(rng);
    try {
      const Topology topology = built("graph", servers(2), options);
      ++accepted;
      Routes routes(topology, seed);
      for (const VertexId from : topology.gpus)
        for (const VertexId to : topology.gpus) EXPECT_EQ(routes.path(from, to, seed).empty(), from == to);
    } catch (const ConfigError&) {
    }
  }
  EXPECT_GT(accepted, 20);
  EXPECT_LT(accepted, 380);
}

TEST(Graph, TheKindOfALinkIsToldByItsEnds) {
  const Topology topology = built("graph", servers(1), R"({
    "vertices": [{"name": "g", "kind": "gpu", "node": 0}, {"name": "h", "kind": "gpu", "node": 0}, {"name": "p", "kind": "pcie_switch", "node": 0},
                 {"name": "n", "kind": "nic", "node": 0}, {"name": "c", "kind": "cpu", "node": 0}, {"name": "d", "kind": "cpu", "node": 0},
                 {"name": "l", "kind": "leaf"}, {"name": "s", "kind": "spine"}],
    "links": [{"from": "g", "to": "h", "rate": "1 GB/s"}, {"from": "g", "to": "p", "rate": "1 GB/s"}, {"from": "p", "to": "n", "rate": "1 GB/s"},
              {"from": "p", "to": "c", "rate": "1 GB/s"}, {"from": "c", "to": "d", "rate": "1 GB/s"}, {"from": "n", "to": "l", "rate": "1 GB/s"},
              {"from": "l", "to": "s", "rate": "1 GB/s"}, {"from": "g", "to": "c", "rate": "1 GB/s", "kind": "nvlink"}]})");
  using enum LinkKind;
  const std::vector<LinkKind> expected = {nvlink, pcie, pcie, pcie, socket, nic, fabric, nvlink};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(topology.places[2 * i].kind, expected[i]) << i;
}

}  // namespace
}  // namespace moesim
