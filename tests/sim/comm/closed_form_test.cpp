// Every algorithm takes the time of its closed form on the machine of the alpha-beta model (R. Hockney, Parallel
// Computing 20, 1994; used for collectives by Thakur, Rabenseifner and Gropp, IJHPCA 2005): a message of k bytes takes
// alpha + k beta, a rank sends and receives one message at a time (two of half the rate take as long). Here alpha is
// what software takes before a round and the latency of the links, and beta one over their rate.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "tests/support/collective_case.h"

namespace moesim {
namespace {

constexpr Rate kRate{10e9};
constexpr Duration kLatency{2'000'000};
constexpr SoftwareStack kStack{.launch{3'000'000}, .round{3'000'000}, .send{}, .receive{}, .copy_rate{}};
constexpr double kAlpha = 5e-6;  // 3 us of software and 2 us of links
constexpr double kBeta = 1 / kRate.bytes_per_s;

// n ranks on n / m nodes of m.
std::vector<int32_t> even_nodes(int32_t n, int32_t m) {
  std::vector<int32_t> nodes;
  for (int32_t rank = 0; rank < n; ++rank) nodes.push_back(rank / m);
  return nodes;
}

// Each byte may be late by a picosecond of rounding a round.
void expect_time(const CollectivePlan& plan, int32_t n, double seconds) {
  const PlanRun run = run_plan(plan, n, star(n, kRate, kLatency), kStack, Fidelity::flow);
  EXPECT_NEAR(run.time.seconds(), seconds, 1e-9 * seconds + 1e-9);
  EXPECT_EQ(run.sent, bytes_of(plan));
  EXPECT_EQ(run.delivered, bytes_of(plan));
}

// Names of a kind without a formula, so that a new algorithm is not forgotten.
template <class Kind, class Formulas>
void expect_all_known(const Formulas& formulas) {
  for (const auto& entry : Registry<Kind>::instance().entries())
    EXPECT_TRUE(formulas.contains(entry.name)) << entry.name << " has no closed form";
}

struct Group {
  double n;  // ranks
  double m;  // of a node; at least 2, and at least two nodes
};

TEST(EveryAllToAll, TakesTheTimeOfItsClosedForm) {
  // Time in alphas, and in bytes of one rank for another.
  using Formula = std::function<std::pair<double, double>(Group)>;
  const std::map<std::string, Formula, std::less<>> formulas = {
      {"direct", [](Group g) { return std::pair(1.0, g.n - 1); }},
      {"low_latency", [](Group g) { return std::pair(1.0, g.n - 1); }},
      // Thakur et al.: (n - 1) alpha + S (n - 1) / n beta, with S = n bytes.
      {"pairwise", [](Group g) { return std::pair(g.n - 1, g.n - 1); }},
      // Tutel: m - 1 messages of S / m, then n / m - 1 messages of S m / n.
      {"hierarchical", [](Group g) { return std::pair(2.0, (g.m - 1) * g.n / g.m + (g.n / g.m - 1) * g.m); }},
      // Four chunks are five rounds. Each rank sends m bytes (nothing in common) to each other node and 1 to each
      // other rank of its own; it passes on m - 1 for each other node. All of it goes over one link here.
      {"node_limited",
       [](Group g) {
         const double nodes = g.n / g.m - 1;
         return std::pair(5.0, nodes * g.m + g.m - 1 + nodes * (g.m - 1));
       }},
  };
  expect_all_known<AllToAllAlgorithm>(formulas);
  for (const auto& [name, formula] : formulas)
    for (const auto& [n, m] : {std::pair(4, 2), std::pair(6, 3), std::pair(6, 2), std::pair(16, 4)}) {
      SCOPED_TRACE(testing::Message() << name << " " << n << " ranks on nodes of " << m);
      const Bytes each{100'000};
      const std::vector<Bytes> bytes(size_t(n) * size_t(n), each);
      const std::vector<int32_t> nodes = even_nodes(n, m);
      const auto [alphas, messages] = formula({double(n), double(m)});
      expect_time(planned<AllToAllAlgorithm>(name, {n, bytes, nodes}), n,
                  alphas * kAlpha + messages * double(each.count) * kBeta);
    }
}

TEST(EveryReduction, TakesTheTimeOfItsClosedForm) {
  // Of a reduce-scatter or an all-gather, in alphas and in buffers. An all-reduce is both.
  using Formula = std::function<std::pair<double, double>(Group)>;
  const std::map<std::string, Formula, std::less<>> formulas = {
      {"direct", [](Group g) { return std::pair(1.0, (g.n - 1) / g.n); }},
      // Patarasuk and Yuan 2009; Thakur et al.: (n - 1) alpha + (n - 1) / n S beta.
      {"ring", [](Group g) { return std::pair(g.n - 1, (g.n - 1) / g.n); }},
      // Thakur et al., where n is a power of two: the whole buffer log2 n times one way, and
      // half, a quarter, ... of it the other way.
      {"tree", [](Group g) { return std::pair(2 * std::log2(g.n), std::log2(g.n) + (g.n - 1) / g.n); }},
      // (m - 1) / m inside the nodes, n / m - 1 shards of 1 / n across them: (n - 1) / n in all.
      {"hierarchical", [](Group g) { return std::pair(2.0, (g.n - 1) / g.n); }},
      // The whole buffer to or from the switch, and n / m - 1 shards across.
      {"nvls", [](Group g) { return std::pair(2.0, 1 + (g.n / g.m - 1) / g.n); }},
  };
  expect_all_known<ReductionAlgorithm>(formulas);
  for (const auto& [name, formula] : formulas)
    for (const auto& [n, m] : {std::pair(4, 2), std::pair(8, 2), std::pair(8, 4), std::pair(16, 4)}) {
      SCOPED_TRACE(testing::Message() << name << " " << n << " ranks on nodes of " << m);
      const Bytes buffer{1'600'000};
      const std::vector<int32_t> nodes = even_nodes(n, m);
      auto [alphas, buffers] = formula({double(n), double(m)});
      for (const Reduction half : {Reduction::reduce_scatter, Reduction::all_gather})
        expect_time(planned<ReductionAlgorithm>(name, {half, n, buffer, nodes}), n,
                    alphas * kAlpha + buffers * double(buffer.count) * kBeta);
      // A tree needs no scatter between the halves: the whole buffer up, the whole buffer down.
      if (name == "tree") buffers = std::log2(double(n));
      if (name == "tree") alphas = std::log2(double(n));
      expect_time(planned<ReductionAlgorithm>(name, {Reduction::all_reduce, n, buffer, nodes}), n,
                  2 * (alphas * kAlpha + buffers * double(buffer.count) * kBeta));
    }
}

TEST(EveryBroadcast, TakesTheTimeOfItsClosedForm) {
  // Thakur et al.: ceil(log2 n) (alpha + S beta). A ring with k chunks fills in n - 2 rounds and then
  // delivers a chunk a round: (n - 2 + k) (alpha + S / k beta), with k = 8.
  using Formula = std::function<std::pair<double, double>(double)>;
  const std::map<std::string, Formula, std::less<>> formulas = {
      {"binomial", [](double n) { return std::pair(std::ceil(std::log2(n)), std::ceil(std::log2(n))); }},
      {"ring", [](double n) { return std::pair(n - 2 + 8, (n - 2 + 8) / 8); }},
  };
  expect_all_known<BroadcastAlgorithm>(formulas);
  for (const auto& [name, formula] : formulas)
    for (const int32_t n : {2, 3, 4, 7, 8, 13, 16}) {
      SCOPED_TRACE(testing::Message() << name << " " << n << " ranks");
      const Bytes buffer{800'000};
      const auto [alphas, buffers] = formula(double(n));
      expect_time(planned<BroadcastAlgorithm>(name, {n, n / 2, buffer}), n,
                  alphas * kAlpha + buffers * double(buffer.count) * kBeta);
    }
}

// Every rank owns one block, which all others are to hold.
TEST(EverySparseCollective, TakesTheTimeOfItsClosedForm) {
  using Formula = std::function<std::pair<double, double>(Group)>;
  const std::map<std::string, Formula, std::less<>> formulas = {
      {"direct", [](Group g) { return std::pair(1.0, g.n - 1); }},
      // A block to one rank of each other node; then each rank passes on its own and those it was the first to get.
      {"hierarchical", [](Group g) { return std::pair(2.0, g.n / g.m - 1 + g.n / g.m * (g.m - 1)); }},
  };
  expect_all_known<SparseAlgorithm>(formulas);
  for (const auto& [name, formula] : formulas)
    for (const auto& [n, m] : {std::pair(4, 2), std::pair(6, 3), std::pair(16, 4)})
      for (const SparseDirection direction : {SparseDirection::all_gather, SparseDirection::reduce_scatter}) {
        SCOPED_TRACE(testing::Message() << name << " " << n << " ranks on nodes of " << m);
        const Bytes block{100'000};
        const std::vector<Bytes> sizes(size_t(n), block);
        const std::vector<int32_t> nodes = even_nodes(n, m);
        std::vector<int32_t> all;
        for (int32_t rank = 0; rank < n; ++rank) all.push_back(rank);
        const std::vector<std::vector<int32_t>> replicas(size_t(n), all);
        const auto [alphas, blocks] = formula({double(n), double(m)});
        expect_time(planned<SparseAlgorithm>(name, {direction, n, sizes, all, replicas, nodes}), n,
                    alphas * kAlpha + blocks * double(block.count) * kBeta);
      }
}

}  // namespace
}  // namespace moesim
