#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/policy/placement/moetuner_programs.h"
#include "tests/support/skewed_input.h"

namespace moesim {
namespace {

constexpr const char* kExact = R"("gap": "0 %", "node_limit": 100000)";

ProgramOptions exact() {
  ProgramOptions options;
  options.gap = {0};
  options.node_limit = 100000;
  options.columns_max = 2000;
  return options;
}

// Every way to put experts into clusters of these slots.
double least_deviation(const PlacementInput& in, std::vector<int32_t>& cluster_of) {
  if (cluster_of.size() == size_t(in.experts)) return deviation(cluster_of, in.past_load[0], size_t(in.gpus));
  double least = kNoEnd;
  for (int32_t cluster = 0; cluster < in.gpus; ++cluster) {
    if (std::count(cluster_of.begin(), cluster_of.end(), cluster) == slots_of(in, size_t(cluster))) continue;
    cluster_of.push_back(cluster);
    least = std::min(least, least_deviation(in, cluster_of));
    cluster_of.pop_back();
  }
  return least;
}

TEST(Moetuner, FindsTheLeastDeviationOfAllClusters) {
  for (uint64_t seed = 0; seed < 25; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const int32_t gpus = int32_t(rng.between(2, 4));
    const int32_t experts = int32_t(rng.between(gpus, 7));
    PlacementInput in = skewed_input(1, experts, gpus, (experts + gpus - 1) / gpus + int32_t(rng.below(2)), rng);
    if (rng.below(3) == 0) {
      in.slots.assign(size_t(gpus), in.slots_per_gpu);
      ++in.slots[1];
    }
    std::vector<int32_t> none;
    const double least = least_deviation(in, none);
    const ClusterAnswer answer = cluster_layer(in, 0, exact());
    EXPECT_NEAR(deviation(answer.cluster_of, in.past_load[0], size_t(gpus)), least, 1e-3);
    EXPECT_NEAR(answer.proof.bound, least, 1e-2);
  }
}

// 5, 3, 2, 2 in two pairs: 5 + 2 and 3 + 2 are 7 and 5, each 1 from the mean of 6.
TEST(Moetuner, CountsTheDistanceFromTheMean) { EXPECT_EQ(deviation({0, 1, 0, 1}, {5, 3, 2, 2}, 2), 2); }

double least_pairs(const GpuCase& c, std::vector<std::vector<int32_t>>& gpu_of) {
  if (gpu_of.size() == c.fits.size()) return slowest_pairs(c, gpu_of);
  std::vector<int32_t> gpus(c.gpus);
  std::iota(gpus.begin(), gpus.end(), 0);
  double least = kNoEnd;
  do {
    gpu_of.push_back(gpus);
    least = std::min(least, least_pairs(c, gpu_of));
    gpu_of.pop_back();
  } while (std::next_permutation(gpus.begin(), gpus.end()));
  return least;
}

TEST(Moetuner, FindsTheLeastSlowestPairsOfAllAssignments) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const int32_t gpus = int32_t(rng.between(2, 3));
    PlacementInput in = skewed_input(int32_t(rng.between(2, 4)), gpus, gpus, 1, rng);
    if (rng.below(2) == 0) {
      in.gpus_per_node = 2;
      add_link_costs(in, rng);
    }
    std::vector<int32_t> clusters(static_cast<size_t>(gpus));
    std::iota(clusters.begin(), clusters.end(), 0);
    const GpuCase c = gpu_case(in, std::vector(size_t(in.layers), clusters));
    std::vector<std::vector<int32_t>> none;
    const double least = least_pairs(c, none);
    const GpuAnswer answer = assign_gpus(c, exact());
    EXPECT_NEAR(slowest_pairs(c, answer.gpu_of), least, 1e-6 * least);
    EXPECT_LE(answer.proof.bound, least * (1 + 1e-6));
    EXPECT_GE(answer.proof.bound, least * (1 - 1e-5));
  }
}

TEST(Moetuner, IsNeverLessEvenThanContiguous) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const PlacementInput in = skewed_input(4, int32_t(rng.between(4, 24)), 4, 6, rng);
    const Placement placement = placement_by_settings("moetuner", R"("node_limit": 20)", in);
    double contiguous = 0;
    for (const std::vector<int64_t>& load : in.past_load) {
      std::vector<int32_t> gpus;
      for (const GpuId gpu : contiguous_gpus(in)) gpus.push_back(int32_t(gpu));
      contiguous += deviation(gpus, load, 4);
    }
    EXPECT_LE(placement.proof->objective, contiguous);
    EXPECT_LE(placement.proof->bound, placement.proof->objective);
  }
}

TEST(Moetuner, GivesTheSameOnAnyNumberOfThreads) {
  Rng rng(11);
  const PlacementInput in = skewed_input(6, 8, 4, 2, rng);
  EXPECT_EQ(placement_by_settings("moetuner", kExact, in).hosts,
            placement_by_settings("moetuner", std::string(kExact) + R"(, "threads": 4)", in).hosts);
}

}  // namespace
}  // namespace moesim
