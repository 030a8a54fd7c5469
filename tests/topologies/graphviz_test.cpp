#include "topologies/graphviz.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/topologies/built.h"

namespace moesim {
namespace {

size_t occurrences(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

Topology two_servers() {
  TopologyInput in;
  in.nodes = 2;
  return built("leaf-spine", in, R"({"nodes_per_leaf": 1})");
}

// 90 duplex links and 56 vertices in 2 servers, as counted in builders_test.cpp.
TEST(Graphviz, DrawsEachDuplexLinkOnceAndEachServerAsABox) {
  const std::string text = graphviz(two_servers());
  EXPECT_EQ(occurrences(text, "dir=none"), 90u);
  EXPECT_EQ(occurrences(text, " -> "), 90u);
  EXPECT_EQ(occurrences(text, "shape="), 56u);
  EXPECT_EQ(occurrences(text, "subgraph cluster_"), 2u);
  EXPECT_NE(text.find("\"node0/nvswitch\" -> \"node0/gpu0\" [label=\"450 GB/s\""), std::string::npos);
  EXPECT_NE(text.find("\"node1/nic7\" -> \"leaf1\" [label=\"400 Gb/s\""), std::string::npos);
}

TEST(Graphviz, DotReadsIt) {
  if (std::system("dot -V > /dev/null 2>&1") != 0) GTEST_SKIP() << "dot (package graphviz) is not installed";
  const std::filesystem::path file = std::filesystem::temp_directory_path() / "moesim_graphviz_test.dot";
  std::ofstream(file) << graphviz(two_servers());
  EXPECT_EQ(std::system(("dot -Tcanon " + file.string() + " > /dev/null").c_str()), 0);
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace moesim
