#include <gtest/gtest.h>

#include "sim/core/random.h"
#include "sim/policy/placement/pair_cost.h"
#include "tests/support/placement_case.h"

namespace moesim {
namespace {

Placement place(const PlacementInput& in) {
  Rng rng(1);
  return PolicyChoice<PlacementPolicy>("clustering").decide(in, rng);
}

// Experts in groups that fit a GPU, numbered at random, of which tokens choose only together: no pair is parted.
TEST(Clustering, FindsGroupsThatTokensChooseTogether) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PlacementInput in;
    in.layers = 2;
    in.gpus = 8;
    in.gpus_per_node = 4;
    in.slots_per_gpu = 4;
    in.experts = 32;
    in.past_load.assign(2, std::vector<int64_t>(32, 1));
    for (int32_t layer = 0; layer < 2; ++layer) {
      std::vector<size_t> group(32);
      for (size_t expert = 0; expert < 32; ++expert) group[expert] = expert / 4;
      rng.shuffle(std::span(group));
      std::vector<int64_t>& together = in.together.emplace_back(32 * 32, 0);
      for (size_t a = 0; a < 32; ++a)
        for (size_t b = 0; b < 32; ++b) together[a * 32 + b] = a != b && group[a] == group[b] ? 10 : 0;
    }
    EXPECT_EQ(together_cost(in, place(in)), 0);
  }
}

}  // namespace
}  // namespace moesim
