#include "sim/moe/placement_cost.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/core/random.h"
#include "tests/support/placement_case.h"

namespace moesim {
namespace {

// The seconds of the busiest link, added up pair by pair as the definition says.
double busiest_link(const PlacementInput& in, const std::vector<double>& load, bool is_dispatch) {
  const PlacementCosts& costs = in.costs;
  std::vector<double> seconds(costs.link_s.size(), 0);
  const size_t gpus = size_t(in.gpus);
  for (size_t far = 0; far < gpus; ++far)
    for (size_t gpu = 0; gpu < gpus; ++gpu)
      for (const int32_t link : costs.path[is_dispatch ? far * gpus + gpu : gpu * gpus + far])
        seconds[size_t(link)] += load[gpu] / double(gpus) * costs.link_s[size_t(link)] *
                                 (is_dispatch ? costs.dispatch_bytes : costs.combine_bytes);
  return seconds.empty() ? 0 : *std::max_element(seconds.begin(), seconds.end());
}

double cost_by_definition(const PlacementInput& in, const std::vector<double>& load) {
  double compute = 0;
  for (size_t gpu = 0; gpu < load.size(); ++gpu) compute = std::max(compute, load[gpu] * in.costs.token_s[gpu]);
  return compute + busiest_link(in, load, true) + busiest_link(in, load, false);
}

std::vector<double> random_loads(size_t gpus, Rng& rng) {
  std::vector<double> load;
  for (size_t gpu = 0; gpu < gpus; ++gpu) load.push_back(double(rng.below(1000)));
  return load;
}

// Whatever rows the table leaves out, and whatever was shifted before.
TEST(PlacementCost, IsThatOfItsDefinitionBeforeAndAfterEveryShift) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PlacementInput in = random_placement_input(rng, false, true);
    if (in.gpus < 2) continue;
    if (seed % 10 == 0) {  // real wiring
      in.gpus = 16;
      in.costs = cluster_costs(seed % 20 == 0 ? "leaf-spine" : "rail-optimised", 2);
    }
    const PlacementObjective objective = placement_objective(in);
    LayerCost cost = layer_cost(objective, random_loads(size_t(in.gpus), rng));
    for (int32_t turn = 0; turn < 20; ++turn) {
      ASSERT_NEAR(cost.value, cost_by_definition(in, cost.load), 1e-9 * cost.value);
      const size_t from = rng.below(uint64_t(in.gpus));
      const size_t to = (from + 1 + rng.below(uint64_t(in.gpus - 1))) % size_t(in.gpus);
      const double tokens = cost.load[from] * rng.uniform();
      const double after = cost_after_shift(objective, cost, from, to, tokens);
      const LayerPeaks peaks = layer_peaks(objective, cost);
      EXPECT_LE(bound_after_shift(objective, cost, peaks, from, to, tokens), after * (1 + 1e-12));
      shift(objective, cost, from, to, tokens);
      EXPECT_DOUBLE_EQ(cost.value, after);
    }
  }
}

// Loads 6, 2, 4 have the mean 4, so 6 / 4; when 2 go from the first to the second all are equal.
TEST(PlacementCost, IsTheLargestLoadOverTheMeanWhereNothingIsKnownOfTime) {
  PlacementInput in;
  in.gpus = 3;
  const PlacementObjective objective = placement_objective(in);
  const LayerCost cost = layer_cost(objective, {6, 2, 4});
  EXPECT_DOUBLE_EQ(cost.value, 1.5);
  EXPECT_DOUBLE_EQ(cost_after_shift(objective, cost, 0, 1, 2), 1);
  EXPECT_DOUBLE_EQ(layer_cost(objective, {0, 0, 0}).value, 0);
}

// Links that a pair of GPUs shares with no other and the slower one of the same pairs alone remain: of each GPU's two
// links in a row one, so with three GPUs three rows each way, and not six.
TEST(PlacementObjective, KeepsTheSlowestOfLinksThatTheSamePairsCross) {
  PlacementInput in;
  in.gpus = 3;
  in.costs.token_s = {1, 1, 1};
  in.costs.dispatch_bytes = in.costs.combine_bytes = 1;
  in.costs.link_s = {1, 2, 1, 2, 1, 2};
  for (int32_t from = 0; from < 3; ++from)
    for (int32_t to = 0; to < 3; ++to)
      in.costs.path.push_back(from == to ? std::vector<int32_t>{} : std::vector<int32_t>{2 * to, 2 * to + 1});
  const PlacementObjective objective = placement_objective(in);
  EXPECT_EQ(objective.dispatch.rows, 3u);
  EXPECT_EQ(objective.combine.rows, 3u);
}

// Three experts of 9, 2 and 1 on two GPUs: the mean is 6, but one copy of the first makes 9, two make 4.5.
TEST(LoadBound, IsTheMeanOrTheLargestLoadOfACopy) {
  PlacementInput in;
  in.layers = 1;
  in.experts = 3;
  in.gpus = 2;
  in.past_load = {{9, 2, 1}};
  const Placement one{{{{GpuId{0}}, {GpuId{1}}, {GpuId{1}}}}, {}};
  const Placement two{{{{GpuId{0}, GpuId{1}}, {GpuId{1}}, {GpuId{0}}}}, {}};
  EXPECT_DOUBLE_EQ(load_bound(in, one, 0), 9);
  EXPECT_DOUBLE_EQ(load_bound(in, two, 0), 6);
  EXPECT_EQ(gpu_loads(two.hosts[0], in.past_load[0], size_t(in.gpus)), (std::vector<double>{5.5, 6.5}));
}

}  // namespace
}  // namespace moesim
