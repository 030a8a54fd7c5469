#include "sim/moe/batching.h"

#include <gtest/gtest.h>

#include <set>

#include "sim/core/random.h"

namespace moesim {
namespace {

// One layer of 8 experts; request r needs experts of the half that r modulo 2 says, so that batches in order need all.
std::vector<float> halves(int64_t requests) {
  std::vector<float> expected(size_t(requests) * 8, 0);
  for (int64_t request = 0; request < requests; ++request)
    for (int64_t expert = 0; expert < 4; ++expert) expected[size_t(request * 8 + request % 2 * 4 + expert)] = 1;
  return expected;
}

std::vector<int32_t> batches(const std::string& policy, int64_t requests, int32_t count) {
  const std::function<std::vector<float>()> expected = [&] { return halves(requests); };
  const BatchingInput in{requests, count, 1, 8, expected};
  Rng rng(1);
  std::vector<int32_t> batch_of = PolicyChoice<BatchingPolicy>(policy.c_str()).decide(in, rng);
  check_batches(batch_of, in);
  return batch_of;
}

TEST(EveryBatching, FillsBatchesAlike) {
  for (const auto& entry : Registry<BatchingPolicy>::instance().entries())
    for (const int32_t count : {1, 2, 3, 6}) batches(entry.name, 12, count);
}

TEST(RegroupBatching, PutsRequestsThatNeedTheSameExpertsTogether) {
  const std::vector<int32_t> batch_of = batches("regroup", 12, 2);
  for (size_t request = 2; request < 12; ++request) EXPECT_EQ(batch_of[request], batch_of[request - 2]);
}

// Expert 0 and expert 4 have queues of 6; the first is drained into the first batch.
TEST(LongestQueueBatching, DrainsOneQueueAfterTheOther) {
  const std::vector<int32_t> batch_of = batches("longest_queue", 12, 2);
  for (size_t request = 0; request < 12; ++request) EXPECT_EQ(batch_of[request], int32_t(request % 2));
}

}  // namespace
}  // namespace moesim
