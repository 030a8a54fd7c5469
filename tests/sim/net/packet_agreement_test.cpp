// Packets against fluid flows: where nothing but fair shares decides, both answers are within 5 %.
#include <gtest/gtest.h>

#include "tests/support/packet_run.h"
#include "tests/support/random_network.h"
#include "tests/support/spray_paths.h"

namespace moesim {
namespace {

constexpr double kAgrees = 0.05;

// Every flow ends when the flow network says, to 5 %.
void expect_agreement(const FlowProblem& problem, const std::string& transport) {
  SCOPED_TRACE(transport);
  const FlowTimes flow = solve_flows(problem, Fidelity::flow);
  const PacketRun packet(problem, with_transport(transport));
  EXPECT_NEAR(ratio(packet.makespan(), flow.makespan), 1, kAgrees);
  for (size_t i = 0; i < problem.flows.size(); ++i)
    EXPECT_NEAR(ratio(packet.finish[i], flow.finish[i]), 1, kAgrees) << "flow " << i;
}

// Each sender and each receiver has a link of its own; one link in the middle is shared by all.
FlowProblem dumbbell(int flows, Bytes bytes) {
  FlowProblem problem{{{50_GBps, 500_ns}}, {}};
  for (int flow = 0; flow < flows; ++flow) {
    problem.links.resize(problem.links.size() + 2, {50_GBps, 500_ns});
    problem.flows.push_back({std::vector<LinkId>{LinkId(1 + 2 * flow), LinkId{0}, LinkId(2 + 2 * flow)}, bytes, {}});
  }
  return problem;
}

TEST(PacketAgainstFlow, OneFlowOverLinksOfSeveralSpeeds) {
  for (const std::string& transport : Registry<TransportPolicy>::instance().names())
    for_each_seed(30, [&](Rng& rng) {
      FlowProblem problem;
      std::vector<LinkId> path;
      for (int64_t hop = rng.between(1, 6); hop > 0; --hop) {
        path.push_back(LinkId(problem.links.size()));
        problem.links.push_back(
            {Rate{12.5e9 * double(int64_t(1) << rng.between(0, 5))}, Duration{rng.between(0, 2'000'000)}});
      }
      problem.flows.push_back({path, Bytes{rng.between(2 << 20, 8 << 20)}, {}});
      expect_agreement(problem, transport);
    });
}

TEST(PacketAgainstFlow, LongFlowsThatShareALinkFairly) {
  for (const char* transport : {"window", "credit"})
    for (const int flows : {2, 3, 4}) expect_agreement(dumbbell(flows, 4_MiB), transport);
}

// Rate control needs many milliseconds to find the fair share, and then keeps about it: only what the link delivers in
// all is as close.
TEST(PacketAgainstFlow, LongFlowsUnderRateControl) {
  const FlowProblem problem = dumbbell(4, 256_MiB);
  const PacketRun packet(problem, with_transport("dcqcn"));
  const Time flow = solve_flows(problem, Fidelity::flow).makespan;
  EXPECT_NEAR(ratio(packet.makespan(), flow), 1, kAgrees);
  for (const Time finish : packet.finish) EXPECT_NEAR(ratio(finish, flow), 1, 2 * kAgrees);
}

// Flows join a chain of links one after another, and all leave over its last: a third of it each. Round trips are
// equal.
TEST(PacketAgainstFlow, AParkingLotThatIsFullAtItsExit) {
  FlowProblem problem{std::vector<Link>(3, {50_GBps, 1_us}), {}};
  for (int joins = 0; joins < 3; ++joins) {
    const auto up = LinkId(problem.links.size());
    problem.links.push_back({50_GBps, (1 + joins) * 1_us});
    std::vector<LinkId> path = {up};
    for (int link = joins; link < 3; ++link) path.push_back(LinkId(link));
    problem.flows.push_back({path, 4_MiB, {}});
  }
  for (const char* transport : {"window", "credit"}) expect_agreement(problem, transport);
}

// 64 hosts, 256 KiB for each pair. As fluid: each flow split evenly over all spines, so that host links alone decide.
TEST(PacketAgainstFlow, ASprayedAllToAll) {
  const LeafSpine net(64, 1);
  const SprayPaths spray(net);
  FlowProblem split{std::vector<Link>(size_t(net.link_count()), LeafSpine::kLink), {}};
  for (int from = 0; from < net.hosts; ++from)
    for (int to = 0; to < net.hosts; ++to)
      for (const Path path : spray.between(net, from, to)) {
        const auto ways = int64_t(spray.between(net, from, to).size());
        split.flows.push_back({path, Bytes{262'144 / ways}, {}});
      }
  const FlowTimes flow = solve_flows(split, Fidelity::flow);
  for (const std::string& transport : Registry<TransportPolicy>::instance().names()) {
    SCOPED_TRACE(transport);
    PacketRun packet(split.links, with_transport(transport));
    for (int from = 0; from < net.hosts; ++from)
      for (int to = 0; to < net.hosts; ++to)
        if (from != to) packet.start(spray.between(net, from, to), Bytes{262'144});
    packet.sim.run();
    EXPECT_EQ(packet.finished, 64u * 63u);
    EXPECT_NEAR(ratio(packet.makespan(), flow.makespan), 1, kAgrees);
  }
}

}  // namespace
}  // namespace moesim
