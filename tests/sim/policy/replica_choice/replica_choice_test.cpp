#include "sim/moe/replica_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/core/random.h"

namespace moesim {
namespace {

struct Case {
  std::vector<int32_t> node;
  std::vector<std::vector<GpuId>> hosts;
  std::vector<int64_t> past_load;
  std::vector<std::vector<int64_t>> routed;

  ReplicaInput input() const { return {node, hosts, past_load, routed}; }
};

Case random_case(Rng& rng) {
  Case c;
  const int32_t gpus = int32_t(rng.between(1, 8));
  for (int32_t gpu = 0; gpu < gpus; ++gpu) c.node.push_back(gpu / 2);
  for (int64_t expert = rng.between(1, 20); expert > 0; --expert) {
    c.hosts.emplace_back();
    for (int64_t copy = rng.between(1, 4); copy > 0; --copy) c.hosts.back().push_back(GpuId(rng.below(uint64_t(gpus))));
    c.past_load.push_back(int64_t(rng.below(1000)));
  }
  c.routed.assign(size_t(gpus), {});
  for (auto& row : c.routed)
    for (size_t expert = 0; expert < c.hosts.size(); ++expert) row.push_back(int64_t(rng.below(50)));
  return c;
}

ReplicaShares split(const char* policy, const Case& c) {
  Rng rng(1);
  return PolicyChoice<ReplicaPolicy>(policy).decide(c.input(), rng);
}

// [gpu] load when the experts' loads are split by the first row of shares.
std::vector<double> loads_by(const Case& c, const ReplicaShares& shares, const std::vector<double>& load) {
  std::vector<double> gpus(c.node.size(), 0);
  size_t copy = 0;
  for (size_t expert = 0; expert < c.hosts.size(); ++expert)
    for (const GpuId gpu : c.hosts[expert]) gpus[index(gpu)] += load[expert] * shares.of(0)[copy++];
  return gpus;
}

std::vector<double> routed_loads(const Case& c) {
  std::vector<double> load(c.hosts.size(), 0);
  for (const auto& row : c.routed)
    for (size_t expert = 0; expert < row.size(); ++expert) load[expert] += double(row[expert]);
  return load;
}

TEST(EveryReplicaChoice, SplitsEachExpertsTokensWhole) {
  for (const auto& entry : Registry<ReplicaPolicy>::instance().entries())
    for (uint64_t seed = 0; seed < 200; ++seed) {
      SCOPED_TRACE(entry.name);
      SCOPED_TRACE(seed);
      Rng rng(seed);
      Case c = random_case(rng);
      if (seed % 5 == 0) c.past_load.clear();  // not known
      check_shares(entry.decide(c.input(), entry.default_options(), rng), c.input());
    }
}

// GPUs 0 and 1 on one server, 2 and 3 on another. An expert on 1, 2 and 3: GPU 0 goes to its server's, GPU 1 stays, and
// so do the others. One on 2 and 3 alone is equally far from GPU 0.
TEST(Nearest, PrefersTheOwnGpuThenTheOwnServer) {
  const Case c{{0, 0, 1, 1}, {{GpuId{1}, GpuId{2}, GpuId{3}}, {GpuId{2}, GpuId{3}}}, {}, {}};
  const ReplicaShares shares = split("nearest", c);
  EXPECT_EQ(shares.of(0), (std::vector<double>{1, 0, 0, 0.5, 0.5}));
  EXPECT_EQ(shares.of(1), (std::vector<double>{1, 0, 0, 0.5, 0.5}));
  EXPECT_EQ(shares.of(2), (std::vector<double>{0, 1, 0, 1, 0}));
  EXPECT_EQ(shares.of(3), (std::vector<double>{0, 0, 1, 0, 1}));
}

// Expert 0 has copies on both GPUs, expert 1 is on GPU 0 alone. Of 10 and 4 tokens, 14 in all, each GPU gets 7: 3 of
// expert 0 on GPU 0, and 7 on GPU 1.
TEST(Weighted, LevelsThePast) {
  const Case c{{0, 0}, {{GpuId{0}, GpuId{1}}, {GpuId{0}}}, {10, 4}, {}};
  const ReplicaShares shares = split("weighted", c);
  EXPECT_NEAR(shares.of(0)[0], 0.3, 1e-12);
  EXPECT_NEAR(shares.of(0)[1], 0.7, 1e-12);
  EXPECT_EQ(shares.of(0)[2], 1);
}

// The same with the roles of past and present swapped: the past says nothing, the routed tokens are 10 and 4.
TEST(LeastLoaded, LevelsWhatIsRoutedNow) {
  const Case c{{0, 0}, {{GpuId{0}, GpuId{1}}, {GpuId{0}}}, {0, 1000}, {{6, 1}, {4, 3}}};
  EXPECT_NEAR(split("least_loaded", c).of(0)[0], 0.3, 1e-12);
}

TEST(LeastLoaded, IsNeverWorseThanTheEvenSplit) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const Case c = random_case(rng);
    const std::vector<double> load = routed_loads(c);
    const std::vector<double> even = loads_by(c, split("even", c), load);
    const std::vector<double> level = loads_by(c, split("least_loaded", c), load);
    EXPECT_LE(*std::max_element(level.begin(), level.end()), *std::max_element(even.begin(), even.end()) * 1.001);
  }
}

}  // namespace
}  // namespace moesim
