#include "sim/net/finish_heap.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/random_network.h"

namespace moesim {
namespace {

TEST(FinishHeap, KeepsTheFirstOnTopWhileFlowsComeAndGo) {
  for_each_seed(50, [](Rng& rng) {
    FinishHeap heap;
    std::vector<uint32_t> places(64);
    std::vector<double> finish(64, -1);
    std::multiset<double> expected;
    for (int change = 0; change < 500; ++change) {
      const auto flow = size_t(rng.below(64));
      if (finish[flow] < 0) {
        finish[flow] = double(rng.below(100));
        expected.insert(finish[flow]);
        heap.push({finish[flow], FlowId(flow)}, places);
      } else {
        ASSERT_EQ(heap[places[flow]].flow, FlowId(flow));
        heap.erase(places[flow], places);
        expected.erase(expected.find(finish[flow]));
        finish[flow] = -1;
      }
      ASSERT_EQ(heap.size(), expected.size());
      if (!heap.empty()) {
        ASSERT_EQ(heap.top().finish, *expected.begin());
      }
    }
  });
}

}  // namespace
}  // namespace moesim
