// The published latencies of DeepEP's low-latency kernels, predicted from those of the smallest and the largest group.
//
// DeepEP, docs/legacy.md (commit 0297fc8): H800, a 400 Gb/s ConnectX-7 for each GPU, 128 tokens a rank, hidden 7168,
// top 8, fp8 dispatch, bf16 combine. A token travels once for each of its experts, so each rank sends 1,024 of them,
// spread evenly here: 1,024 / EP for each rank, its own included, which do not travel. The message of a token is 7,168
// bytes of fp8, 56 scales of 4 bytes and a header of 16 in dispatch, 14,336 bytes in combine.
//
// Two tables were published. In the first (README of February 2025) every pair of ranks talks by RDMA, ranks of one
// server too. Since pull request 173 (May 2025) ranks of one server use NVLink; the rows up to EP 64 were measured
// again, those of EP 128 and 256 are still the first ones. 98 GB/s at EP 8 are indeed more than a NIC can carry.
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <map>

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

// Servers of eight, or of one where each pair of ranks talks by RDMA: then every pair is in two servers. All NICs are
// on one switch: adaptive routing, which DeepEP recommends, leaves no collisions between switches.
Topology h800(int32_t ep, bool pure_rdma, Rate nvlink, Rate nic) {
  NodeSpec node;
  node.gpus = node.nics = pure_rdma ? 1 : 8;
  node.nvlink = pure_rdma ? Rate{} : nvlink;
  node.nic = nic;
  return build_topology("leaf-spine", {ep / node.gpus, node}, R"({"nodes_per_leaf": 10000})");
}

// Seconds from one rank to another for a byte.
double latency(const Topology& topology, int32_t from, int32_t to) {
  const int32_t ranks = int32_t(topology.gpus.size());
  return run_plan(send_receive(from, to, 1_B), ranks, topology, SoftwareStack{{}, {}, {}, {}}, Fidelity::flow)
      .time.seconds();
}

double simulated(int32_t ep, int64_t token, const Topology& topology, const SoftwareStack& stack) {
  const std::vector<Bytes> bytes(size_t(ep) * size_t(ep), kTokens / ep * Bytes{token});
  const CollectivePlan plan = planned<AllToAllAlgorithm>("low_latency", {ep, bytes});
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

// Times in microseconds stand in the test's XML as dispatch64 and so on, for docs/collectives.md.
void expect_predicted(const Table& table, const std::function<Topology(int32_t)>& topology,
                      const SoftwareStack& stack) {
  for (const auto& [ep, measured] : table)
    for (const bool dispatch : {true, false}) {
      const double us = simulated(ep, dispatch ? kDispatchToken : kCombineToken, topology(ep), stack);
      const std::string what = (dispatch ? "dispatch" : "combine") + std::to_string(ep);
      testing::Test::RecordProperty(what, std::to_string(us));
      EXPECT_NEAR(us / (dispatch ? measured.dispatch : measured.combine), 1.0, 0.1) << what << ": " << us;
    }
}

struct Constants {
  SoftwareStack stack;
  Rate nvlink;
  Rate nic;
};

// Three constants: what a call takes beside its bytes (L), the rate of payload over a GPU's NVLinks (V) and over its
// NIC (B). Eight ranks use NVLink alone: L + latency + 7/8 bytes / V. Of 128 ranks the NICs are the bottleneck: L +
// latency + a part of the bytes / B. That is four equations, linear in L, 1 / V and 1 / B.
Constants fit_with_nvlink(double part_over_nic) {
  const Topology nominal = h800(16, false, 200_GBps, 50_GBps);
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
  return {{Duration{int64_t(launch_us * 1e6)}, {}, {}, {}}, Rate{1e12 / nvlink}, Rate{1e12 / nic}};
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
  expect_predicted(kWithNvlink, [&](int32_t ep) { return h800(ep, ep == 128, fit.nvlink, fit.nic); }, fit.stack);
}

// The same table as if all of its rows were of the kernels with NVLink: 120 of 128 ranks are reached over the NIC.
TEST(DeepEpLowLatency, PredictsThemTooIfEveryRowIsTakenForTheNewKernels) {
  const Constants fit = fit_with_nvlink(120.0 / 128);
  expect_sensible(fit);
  expect_predicted(kWithNvlink, [&](int32_t ep) { return h800(ep, false, fit.nvlink, fit.nic); }, fit.stack);
}

// The first kernels: two constants, what each peer costs (o) and the NIC's rate (B), and no fixed cost beside the
// links' latency: (EP - 1) o + latency + (EP - 1) / EP bytes / B.
TEST(DeepEpLowLatency, PredictsTheFirstKernelsWithoutNvlink) {
  const double across = latency(h800(8, true, {}, 50_GBps), 0, 1) * 1e6;
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
  expect_predicted(
      kPureRdma, [&](int32_t ep) { return h800(ep, true, {}, rate); },
      SoftwareStack{{}, {}, Duration{int64_t(peer_us * 1e6)}, {}});
}

}  // namespace
}  // namespace moesim
