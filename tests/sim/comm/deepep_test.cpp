// The published latencies of DeepEP's low-latency kernels, predicted from those of the smallest and the largest group.
//
// DeepEP, docs/legacy.md (commit 0297fc8): H800, a 400 Gb/s ConnectX-7 for each GPU, 128 tokens a rank, hidden 7168,
// top 8, fp8 dispatch, bf16 combine. A token travels once for each of its experts, so each rank sends 1,024 of them,
// spread evenly here: 1,024 / EP for each rank, its own included, which do not travel. The message of a token is 7,168
// bytes of fp8, 56 scales of 4 bytes and a header of 16 in dispatch, 14,336 bytes in combine.
//
// Two tables were published. In the first (README of February 2025) every pair of ranks talks by RDMA, ranks of one
// server too. Since pull request 173 (May 2025) ranks of one server use NVLink; the rows up to EP 64 changed
// then, those of EP 128 and 256 are still the first ones. 98 GB/s at EP 8 are indeed more than a NIC can carry.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "tests/support/collective_case.h"

namespace moesim {
namespace {

constexpr int64_t kTokens = 1024;
constexpr int64_t kDispatchToken = 7168 + 56 * 4 + 16;
constexpr int64_t kCombineToken = 7168 * 2;

struct Measured {
  double dispatch;  // microseconds
  double combine;
};
using Table = std::map<int32_t, Measured>;  // by EP
const Table kWithNvlink = {{8, {77, 114}}, {16, {118, 195}}, {32, {155, 273}}, {64, {173, 314}}, {128, {192, 369}}};
const Table kPureRdma = {{8, {163, 318}},  {16, {173, 329}},  {32, {182, 350}},
                         {64, {186, 353}}, {128, {192, 369}}, {256, {194, 360}}};

// Servers of eight GPUs, with all NICs on one switch: adaptive routing, which DeepEP recommends, leaves no collisions
// between switches.
Topology h800(int32_t ep, Rate nvlink, Rate nic) {
  NodeSpec node;
  node.nvlink = nvlink;
  node.nic = nic;
  return build_topology("leaf-spine", {ep / node.gpus, node}, R"({"nodes_per_leaf": 10000})");
}

// Seconds from one rank to another for a byte.
double latency(const Topology& topology, int32_t from, int32_t to) {
  const int32_t ranks = int32_t(topology.gpus.size());
  return run_plan(send_receive(from, to, 1_B), ranks, topology, SoftwareStack{{}, {}, {}, {}, {}}, Fidelity::flow)
      .time.seconds();
}

double simulated(int32_t ep, int64_t token, bool nvlink, const Topology& topology, const SoftwareStack& stack) {
  const std::vector<Bytes> bytes(size_t(ep) * size_t(ep), kTokens / ep * Bytes{token});
  const CollectivePlan plan =
      planned<AllToAllAlgorithm>("low_latency", {ep, bytes}, nvlink ? "{}" : R"({"nvlink": false})");
  return run_plan(plan, ep, topology, stack, Fidelity::flow).time.seconds() * 1e6;
}

// Least squares of relative errors, by the normal equations: each row is what the constants count in a measured time
// (microseconds), after what is known of it.
template <size_t N>
struct Row {
  std::array<double, N> counts;
  double known;
  double measured;
};

template <size_t N>
std::array<double, N> fitted(const std::vector<Row<N>>& rows) {
  double matrix[N][N + 1] = {};
  for (const Row<N>& row : rows)
    for (size_t i = 0; i < N; ++i) {
      const double weight = row.counts[i] / (row.measured * row.measured);
      for (size_t j = 0; j < N; ++j) matrix[i][j] += weight * row.counts[j];
      matrix[i][N] += weight * (row.measured - row.known);
    }
  for (size_t i = 0; i < N; ++i)
    for (size_t k = 0; k < N; ++k) {
      const double factor = matrix[k][i] / matrix[i][i];
      for (size_t j = 0; k != i && j <= N; ++j) matrix[k][j] -= factor * matrix[i][j];
    }
  std::array<double, N> constants;
  for (size_t i = 0; i < N; ++i) constants[i] = matrix[i][N] / matrix[i][i];
  return constants;
}

double traffic_MB(int64_t token, double remote_part) { return double(kTokens * token) * remote_part * 1e-6; }

struct Constants {
  SoftwareStack stack;
  Rate nvlink;
  Rate nic;
};

// Times in microseconds stand in the test's XML as dispatch64 and so on, for docs/collectives.md.
void expect_predicted(const Table& table, int32_t nvlink_up_to, const Constants& fit) {
  for (const auto& [ep, measured] : table) {
    const Topology topology = h800(ep, fit.nvlink, fit.nic);
    for (const bool dispatch : {true, false}) {
      const int64_t token = dispatch ? kDispatchToken : kCombineToken;
      const double us = simulated(ep, token, ep <= nvlink_up_to, topology, fit.stack);
      const std::string what = (dispatch ? "dispatch" : "combine") + std::to_string(ep);
      testing::Test::RecordProperty(what, std::to_string(us));
      EXPECT_NEAR(us / (dispatch ? measured.dispatch : measured.combine), 1.0, 0.1) << what << ": " << us;
    }
  }
}

// Three constants: what a call takes beside its bytes (L), the rate of payload over a GPU's NVLinks (V) and over its
// NIC (B). Eight ranks use NVLink alone: L + latency + 7/8 bytes / V. Of 128 ranks the NICs are the bottleneck: L +
// latency + a part of the bytes / B. That is four equations, linear in L, 1 / V and 1 / B.
Constants fit_with_nvlink(double part_over_nic) {
  const Topology nominal = h800(16, 200_GBps, 50_GBps);
  const double inside = latency(nominal, 0, 1) * 1e6;
  const double across = latency(nominal, 0, 8) * 1e6;
  const Measured& least = kWithNvlink.at(8);
  const Measured& most = kWithNvlink.at(128);
  const auto [launch_us, nvlink, nic] = fitted<3>({
      {{1, traffic_MB(kDispatchToken, 7.0 / 8), 0}, inside, least.dispatch},
      {{1, traffic_MB(kCombineToken, 7.0 / 8), 0}, inside, least.combine},
      {{1, 0, traffic_MB(kDispatchToken, part_over_nic)}, across, most.dispatch},
      {{1, 0, traffic_MB(kCombineToken, part_over_nic)}, across, most.combine},
  });  // us, us a MB, us a MB
  testing::Test::RecordProperty("launch_us", std::to_string(launch_us));
  testing::Test::RecordProperty("nvlink_GBps", std::to_string(1e3 / nvlink));
  testing::Test::RecordProperty("nic_GBps", std::to_string(1e3 / nic));
  return {{Duration{int64_t(launch_us * 1e6)}, {}, {}, {}, {}}, Rate{1e12 / nvlink}, Rate{1e12 / nic}};
}

// DeepEP names about 160 GB/s as the most over the NVLinks of an H800 and 50 GB/s over its NIC.
void expect_sensible(const Constants& fit) {
  EXPECT_GT(fit.stack.launch, 10_us);
  EXPECT_LT(fit.stack.launch, 50_us);
  EXPECT_GT(fit.nvlink, 120_GBps);
  EXPECT_LT(fit.nvlink, 160_GBps);
  EXPECT_GT(fit.nic, 40_GBps);
  EXPECT_LT(fit.nic, 50_GBps);
}

// As measured: 127/128 of the bytes over the NIC in the row of EP 128, which is of the first kernels.
TEST(DeepEpLowLatency, PredictsTheGroupsBetweenEightAnd128) {
  const Constants fit = fit_with_nvlink(127.0 / 128);
  expect_sensible(fit);
  expect_predicted(kWithNvlink, 64, fit);
}

// The same table as if all of its rows were of the kernels with NVLink: 120 of 128 ranks are reached over the NIC.
TEST(DeepEpLowLatency, PredictsThemTooIfEveryRowIsTakenForTheNewKernels) {
  const Constants fit = fit_with_nvlink(120.0 / 128);
  expect_sensible(fit);
  expect_predicted(kWithNvlink, 128, fit);
}

// The first kernels: two constants, what each peer costs (o) and the NIC's rate (B), and no fixed cost beside the
// links' latency: (EP - 1) o + latency + (EP - 1) / EP bytes / B.
TEST(DeepEpLowLatency, PredictsTheFirstKernelsWithoutNvlink) {
  const double across = latency(h800(16, 200_GBps, 50_GBps), 0, 8) * 1e6;
  std::vector<Row<2>> rows;
  for (const int32_t ep : {8, 128}) {
    const Measured& us = kPureRdma.at(ep);
    const double peers = ep - 1;
    rows.push_back({{peers, traffic_MB(kDispatchToken, peers / ep)}, across, us.dispatch});
    rows.push_back({{peers, traffic_MB(kCombineToken, peers / ep)}, across, us.combine});
  }
  const auto [peer_us, nic] = fitted(rows);
  testing::Test::RecordProperty("peer_us", std::to_string(peer_us));
  testing::Test::RecordProperty("nic_GBps", std::to_string(1e3 / nic));
  const Rate rate{1e12 / nic};
  EXPECT_GT(peer_us, 0.01);
  EXPECT_LT(peer_us, 0.5);
  EXPECT_GT(rate, 40_GBps);
  EXPECT_LT(rate, 50_GBps);
  expect_predicted(kPureRdma, 0, {{{}, {}, Duration{int64_t(peer_us * 1e6)}, {}, {}}, 200_GBps, rate});
}

// What a token of DeepEP's test of the normal kernels reaches: 256 experts, top 8 of the four servers with the highest
// scores. Means over tokens, by symmetry the same for each GPU and each server.
struct Reach {
  double gpu = 0;     // probability that a token goes to a given GPU
  double server = 0;  // ... to any GPU of a given server
};

Reach reach_of(int32_t servers) {
  constexpr int32_t kSamples = 20'000;
  constexpr size_t kExperts = 256;
  const size_t of_server = kExperts / size_t(servers);
  const size_t of_gpu = of_server / 8;
  Rng rng(1);
  std::vector<size_t> order(kExperts);  // experts by falling score
  std::iota(order.begin(), order.end(), size_t{0});
  int64_t gpus = 0;
  int64_t reached = 0;
  for (int32_t sample = 0; sample < kSamples; ++sample) {
    rng.shuffle(std::span(order));
    std::set<size_t> allowed;
    for (size_t i = 0; allowed.size() < size_t(std::min(servers, 4)); ++i) allowed.insert(order[i] / of_server);
    std::set<size_t> to_gpus;
    std::set<size_t> to_servers;
    for (size_t i = 0, chosen = 0; chosen < 8; ++i) {
      if (!allowed.contains(order[i] / of_server)) continue;
      ++chosen;
      to_gpus.insert(order[i] / of_gpu);
      to_servers.insert(order[i] / of_server);
    }
    gpus += int64_t(to_gpus.size());
    reached += int64_t(to_servers.size());
  }
  return {double(gpus) / kSamples / (8 * servers), double(reached) / kSamples / servers};
}

// GB/s as DeepEP counts them: bytes of the copies for servers, a rank's own included, over the time.
double normal_GBps(int32_t ep, int64_t token, NodeCopy copy, const Constants& fit) {
  constexpr double kRankTokens = 4096;
  const int32_t servers = ep / 8;
  const Reach reach = reach_of(servers);
  const Bytes to_gpu{int64_t(kRankTokens * reach.gpu) * token};
  const Bytes to_server{int64_t(kRankTokens * reach.server) * token};
  const std::vector<Bytes> bytes(size_t(ep) * size_t(ep), to_gpu);
  const std::vector<Bytes> once(size_t(ep) * size_t(servers), to_server);
  std::vector<int32_t> nodes;
  for (int32_t rank = 0; rank < ep; ++rank) nodes.push_back(rank / 8);
  const CollectivePlan plan =
      planned<AllToAllAlgorithm>("node_limited", {ep, bytes, nodes, once, copy}, R"({"chunks": 16})");
  const double seconds = run_plan(plan, ep, h800(ep, fit.nvlink, fit.nic), fit.stack, Fidelity::flow).time.seconds();
  return double(servers) * double(to_server.count) / seconds * 1e-9;
}

// The normal kernels, with the constants of the low-latency ones and none of their own: 4,096 tokens a rank, of 7,168
// values in fp8 with a scale of 4 bytes each 128, or in bf16. Where the NICs are the bottleneck this is how fast they
// are. With two servers it is the NVLinks, which the kernels do not fill: there the model is too fast.
TEST(DeepEpNormal, IsPredictedByTheConstantsOfTheLowLatencyKernels) {
  const Constants fit = fit_with_nvlink(127.0 / 128);
  const Table published = {{16, {43, 43}}, {32, {58, 57}}, {64, {51, 50}}};  // GB/s
  for (const auto& [ep, measured] : published) {
    const double dispatch = normal_GBps(ep, 7168 + 56 * 4, NodeCopy::parts, fit);
    const double combine = normal_GBps(ep, kCombineToken, NodeCopy::sums, fit);
    testing::Test::RecordProperty("normal_dispatch" + std::to_string(ep), std::to_string(dispatch));
    testing::Test::RecordProperty("normal_combine" + std::to_string(ep), std::to_string(combine));
    EXPECT_NEAR(dispatch / measured.dispatch, 1.0, ep == 16 ? 0.25 : 0.1) << "EP " << ep << ": " << dispatch;
    EXPECT_NEAR(combine / measured.combine, 1.0, ep == 16 ? 0.25 : 0.1) << "EP " << ep << ": " << combine;
  }
}

}  // namespace
}  // namespace moesim
