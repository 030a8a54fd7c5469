#include "sim/policy/placement/co_clustering.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/core/random.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

CoClusteringCase random_case(Rng& rng) {
  CoClusteringCase c;
  c.gpus = 2;
  c.experts = 4;
  c.slots = {2, 2};
  c.top_k = 2;
  const size_t items = size_t(rng.between(2, 5));
  for (size_t item = 0; item < items; ++item) {
    c.weight.push_back(rng.between(1, 4));
    for (int32_t expert = 0; expert < 4; ++expert) c.expected.push_back(float(rng.below(9)) / 16);
  }
  c.limit = 2;
  return c;
}

double least_objective(const CoClusteringCase& c) {
  double least = 1e300;
  for (uint32_t experts = 0; experts < 16; ++experts) {
    if (__builtin_popcount(experts) != 2) continue;
    for (uint32_t items = 0; items < 1U << c.weight.size(); ++items) {
      CoClusters clusters;
      clusters.of_expert.emplace_back();
      for (size_t item = 0; item < c.weight.size(); ++item) clusters.of_item.push_back(items >> item & 1);
      for (uint32_t expert = 0; expert < 4; ++expert) clusters.of_expert[0].push_back(experts >> expert & 1);
      least = std::min(least, co_clustering_objective(c, clusters));
    }
  }
  return least;
}

// Items 0 and 1 choose experts 0 and 2, items 2 and 3 experts 1 and 3: nothing need be remote.
TEST(CoClustering, SeparatesWhatIsSeparate) {
  CoClusteringCase c;
  c.gpus = 2;
  c.experts = 4;
  c.slots = {2, 2};
  c.top_k = 2;
  c.weight = {1, 1, 1, 1};
  for (int32_t item = 0; item < 4; ++item)
    for (int32_t expert = 0; expert < 4; ++expert) c.expected.push_back(expert % 2 == item / 2 ? 1 : 0);
  Rng rng(1);
  const CoClusters clusters = alternate(c, 8, 10, rng);
  EXPECT_NEAR(clusters.objective, 0, 1e-9);
  EXPECT_EQ(clusters.of_expert[0][0], clusters.of_expert[0][2]);
  EXPECT_EQ(clusters.of_item[0], clusters.of_item[1]);
}

// Two items of weight 3 and 1 in different clusters: tokens are off by 1 each. Experts 0, 1 | 2, 3 with one choice of
// each item at expert 0: 4 rows against none, off by 2 each; the second item's is remote. top_k 1.
// 0.2 (2 + 4) + 0.8 x 1 = 2.
TEST(CoClustering, CountsLoadsAndRemoteChoices) {
  CoClusteringCase c;
  c.gpus = 2;
  c.experts = 4;
  c.slots = {2, 2};
  c.weight = {3, 1};
  c.expected = {1, 0, 0, 0, 1, 0, 0, 0};
  EXPECT_NEAR(co_clustering_objective(c, {{0, 1}, {{0, 0, 1, 1}}, 0}), 2, 1e-9);
}

#ifdef MOESIM_HAS_GLPK
TEST(CoClustering, IsSolvedExactlyByTheProgram) {
  for_each_seed(15, [](Rng& rng) {
    const CoClusteringCase c = random_case(rng);
    const CoClusters start = alternate(c, 3, 10, rng);
    IlpOptions options;
    options.gap = {0};
    options.node_limit = 100000;
    PlacementProof proof;
    const CoClusters best = solve_co_clustering(c, start, options, proof);
    EXPECT_LE(best.objective, start.objective);
    EXPECT_NEAR(best.objective, least_objective(c), 1e-6);
  });
}
#endif

// What alternation and a few restarts reach on small cases, against all ways there are.
TEST(CoClustering, AlternationComesCloseToTheBest) {
  double found = 0;
  double least = 0;
  for_each_seed(30, [&](Rng& rng) {
    const CoClusteringCase c = random_case(rng);
    found += alternate(c, 5, 10, rng).objective;
    least += least_objective(c);
  });
  EXPECT_GE(found, least - 1e-6);
  EXPECT_LE(found, 1.5 * least);
}

}  // namespace
}  // namespace moesim
