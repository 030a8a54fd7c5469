#include <gtest/gtest.h>

#include <algorithm>

#include "sim/moe/placement_cost.h"
#include "tests/support/placement_case.h"

namespace moesim {
namespace {

Placement place(const char* policy, const PlacementInput& in) {
  Rng rng(1);
  return PolicyChoice<PlacementPolicy>(policy).decide(in, rng);
}

double max_over_mean(const PlacementInput& in, const Placement& placement, size_t layer) {
  PlacementInput loads = in;
  loads.costs = {};
  return layer_cost(placement_objective(loads), gpu_loads(placement.hosts[layer], in.past_load[layer], size_t(in.gpus)))
      .value;
}

// Two domains on two GPUs of two slots. Experts 0 and 1 have all of the first domain, 2 and 3 of the second, which is
// three times as large: 30, 30, 90, 90. By the sum of the past any of each pair with any of the other is as good; a GPU
// that has one of each never has more than half, whatever the mixture. Blocks in order are 1.5 of the mean.
TEST(Hedged, GivesEachGpuItsPartOfEveryDomain) {
  PlacementInput in;
  in.layers = 1;
  in.experts = 4;
  in.gpus = in.gpus_per_node = in.slots_per_gpu = 2;
  in.past_load = {{30, 30, 90, 90}};
  in.past_load_of_part = {{{30, 30, 0, 0}}, {{0, 0, 90, 90}}};
  const Placement placement = place("hedged", in);
  EXPECT_NE(placement.hosts[0][0], placement.hosts[0][1]);
  EXPECT_NE(placement.hosts[0][2], placement.hosts[0][3]);
}

// As many experts and GPUs as DeepSeek-V3. The loads of a mixture that it has not seen lie nearer to the mean than with
// policies that balance the past alone, and those of the past still within a twentieth.
TEST(Hedged, IsBalancedForAnotherMixtureOfDomains) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(seed);
    PlacementInput in = large_case(seed);
    in.layers = 4;
    in.past_load.resize(4);
    for (auto& part : in.past_load_of_part) part.resize(4);
    Rng rng(seed);
    const DomainLoads domains(58, 256, rng);
    const Placement hedged = place("hedged", in);
    const Placement eplb = place("eplb", in);
    const Placement replicated = place("replicated", in);
    PlacementInput later = in;
    Rng other(seed + 100);
    later.past_load = domains.loads(random_mixture(other), 1e7);
    later.past_load.resize(4);
    for (size_t layer = 0; layer < 4; ++layer) {
      EXPECT_LE(max_over_mean(in, hedged, layer), 1.05);
      EXPECT_LT(max_over_mean(later, hedged, layer), max_over_mean(later, eplb, layer));
      EXPECT_LT(max_over_mean(later, hedged, layer), max_over_mean(later, replicated, layer));
    }
  }
}

// Without parts it balances the past.
TEST(Hedged, BalancesThePastWhereItHasNoParts) {
  PlacementInput in = large_case(2);
  in.layers = 2;
  in.past_load.resize(2);
  in.past_load_of_part.clear();
  const Placement placement = place("hedged", in);
  for (size_t layer = 0; layer < 2; ++layer) EXPECT_LE(max_over_mean(in, placement, layer), 1.03);
}

}  // namespace
}  // namespace moesim
