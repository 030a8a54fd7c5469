#include "sim/net/packet_network.h"

#include <gtest/gtest.h>

#include "sim/config/reader.h"
#include "sim/net/network.h"
#include "tests/support/packet_run.h"

namespace moesim {
namespace {

// Every sender over a link of its own into one of 1 GB/s; no latency. Packets of 1000 B.
FlowProblem incast(int senders, Rate uplink, Bytes bytes) {
  FlowProblem problem{{{1_GBps, {}}}, {}};
  for (int sender = 0; sender < senders; ++sender) {
    problem.links.push_back({uplink, {}});
    problem.flows.push_back({std::vector<LinkId>{LinkId(1 + sender), LinkId{0}}, bytes, {}});
  }
  return problem;
}

PacketOptions open_loop() {
  PacketOptions options = with_transport("window");
  const std::string text = R"({"mtu": "1000 B", "transport": {"policy": "window", "window_bdp": 1000}})";
  return read_struct<PacketOptions>(parse_json(text, "options"), "options");
}

// Ten packets come every 0.1 us, from 0.1 us on, and leave every 1 us, the first at 1.1 us. The last comes at 1 us, so
// packet k (from 0) finds k others and waits from 0.1 (k + 1) us to 0.1 + k us, 0.9 k us: 0.9 x 45 us in all.
TEST(PacketNetwork, QueuesAndMarksAreWhatTheyAreByHand) {
  PacketOptions options = open_loop();
  options.mark_from = options.mark_all = 5000_B;
  const PacketRun run(incast(1, 10_GBps, 10'000_B), options);
  const LinkQueueing& queueing = run.network.queueing(LinkId{0});
  EXPECT_EQ(queueing.packets, 10);
  EXPECT_EQ(queueing.queue_max, 10'000_B);
  EXPECT_EQ(queueing.waited, 40'500_ns);
  EXPECT_EQ(queueing.mean_wait(), 4'050_ns);
  EXPECT_EQ(queueing.marks, 5);  // packets 5 to 9
  EXPECT_EQ(queueing.drops, 0);
  EXPECT_EQ(run.makespan(), Time{} + 10'100_ns);
}

// With room for four packets the last six of the ten find none.
TEST(PacketNetwork, DropsWhatFindsNoRoom) {
  PacketOptions options = open_loop();
  options.buffer = 4000_B;
  options.retransmission_timeout = 1_ms;
  const PacketRun run(incast(1, 10_GBps, 10'000_B), options);
  const LinkQueueing& queueing = run.network.queueing(LinkId{0});
  EXPECT_EQ(queueing.drops, 6 + 2);  // the six come again at once, a timeout later, and four of them find room
  EXPECT_EQ(queueing.queue_max, 4000_B);
  EXPECT_EQ(run.finished, 1u);
  EXPECT_EQ(run.network.queueing(LinkId{1}).carried_in_vain, 8000_B);
}

// A packet that finds the longest queue less itself is marked; above that none can be.
TEST(PacketNetwork, MarksOnlyAboveTheThreshold) {
  const FlowProblem problem = incast(7, 3_GBps, 20'000_B);
  PacketOptions options = open_loop();
  const Bytes longest = PacketRun(problem, options).network.queueing().queue_max;
  options.mark_from = options.mark_all = longest - 1000_B;
  EXPECT_GT(PacketRun(problem, options).network.queueing().marks, 0);
  options.mark_from = options.mark_all = longest - 999_B;
  EXPECT_EQ(PacketRun(problem, options).network.queueing().marks, 0);
}

// 32 hosts send 1 MB each to one over links of 50 GB/s: the receiver's link alone needs 32 x 1 MB / 50 GB/s = 640 us.
FlowProblem wide_incast() {
  FlowProblem problem{{{50_GBps, 500_ns}}, {}};
  for (int sender = 0; sender < 32; ++sender) {
    problem.links.resize(problem.links.size() + 2, {50_GBps, 500_ns});
    problem.flows.push_back({std::vector<LinkId>{LinkId(1 + 2 * sender), LinkId(2 + 2 * sender), LinkId{0}}, 1'000'000_B, {}});
  }
  return problem;
}

// A window a sender is 32 times what the path holds: the buffer overflows, and goes on to.
TEST(PacketNetwork, AnIncastOfWindowsOverflows) {
  const PacketRun run(wide_incast(), with_transport("window"));
  EXPECT_GT(run.network.queueing(LinkId{0}).drops, 1000);
}

// Nothing is lost without notice, the link never idles, and the senders share it: all end within a few per cent.
TEST(PacketNetwork, AnIncastOfCreditsDoesNot) {
  const PacketRun run(wide_incast(), with_transport("credit"));
  EXPECT_EQ(run.network.queueing().drops, 0);
  EXPECT_LE(run.makespan().seconds(), 640e-6 * 1.01);
  EXPECT_GE(std::min_element(run.finish.begin(), run.finish.end())->seconds(), 640e-6 * 0.8);
  // Only the first windows overflow: 32 of 3 us x 50 GB/s, about 160 kB each, where there is room for 1 MiB.
  EXPECT_LT(run.network.queueing(LinkId{0}).trims, 32 * 40);
}

// Two flows of equal size from one host take turns packet by packet. The first sends a packet before the second begins,
// and then stands in line before it, so that it ends two packets earlier.
TEST(PacketNetwork, FlowsOfOneHostTakeTurns) {
  for (const std::string& name : Registry<TransportPolicy>::instance().names()) {
    SCOPED_TRACE(name);
    const FlowProblem problem{{{1_GBps, 1_us}, {1_GBps, 1_us}, {1_GBps, 1_us}},
                              {{{LinkId{0}, LinkId{1}}, 409'600_B, {}}, {{LinkId{0}, LinkId{2}}, 409'600_B, {}}}};
    const PacketRun run(problem, with_transport(name));
    EXPECT_LE(run.finish[1] - run.finish[0], 2 * 4'096_ns);
    EXPECT_EQ(run.makespan(), Time{} + 2_us + 819'200_ns + 4'096_ns);
  }
}

// Packets that pass through a link at which another flow begins do not shut that flow out: both want all of the second
// link, and the flow that begins there has a packet for each that passes.
TEST(PacketNetwork, AFlowThatBeginsWhereOthersPassGetsItsTurn) {
  for (const std::string& name : Registry<TransportPolicy>::instance().names()) {
    SCOPED_TRACE(name);
    const FlowProblem problem{
        {{10_GBps, 1_us}, {10_GBps, 1_us}, {10_GBps, 1_us}},
        {{{LinkId{0}, LinkId{1}, LinkId{2}}, 4'000'000_B, {}}, {{LinkId{1}, LinkId{2}}, 4'000'000_B, {}}}};
    const PacketRun run(problem, with_transport(name));
    EXPECT_LE(run.finish[1].seconds(), 900e-6);  // alone it takes 400 us, at half the rate 800 us
    EXPECT_LE(run.makespan().seconds(), 1300e-6);
  }
}

TEST(PacketNetwork, IsChosenByOneWord) {
  Simulator sim;
  const std::vector<LinkId> path{LinkId{0}};
  Network network = make_network({.fidelity = Fidelity::packet}, sim, {{1_GBps, 1_us}}, {});
  start(network, path, 1000_B, 0);
  EXPECT_EQ(live(network), 1u);
  sim.run();
  EXPECT_EQ(live(network), 0u);
  EXPECT_EQ(sim.now(), Time{} + 2_us);
  EXPECT_EQ(use(network, LinkId{0}).carried, 1000_B);
  EXPECT_EQ(use(network, LinkId{0}).busy, 1_us);
  EXPECT_EQ(links(network).size(), 1u);
}

TEST(PacketNetwork, ItsSettingsAreChecked) {
  const auto read = [](const char* text) { return read_struct<PacketOptions>(parse_json(text, "options"), "options"); };
  EXPECT_EQ(read("{}").mtu, 4_KiB);
  EXPECT_EQ(read(R"({"transport": {"policy": "dcqcn", "gain": 0.5}})").transport.name(), "dcqcn");
  EXPECT_THROW(read(R"({"mtu": "1 MiB"})"), ConfigError);
  EXPECT_THROW(read(R"({"buffer": "4000 B"})"), ConfigError);  // less than one packet
  EXPECT_THROW(read(R"({"mark_from": "600 KiB"})"), ConfigError);
  EXPECT_THROW(read(R"({"transport": "carrier pigeon"})"), ConfigError);
}

TEST(PacketNetwork, RefusesALinkThatDoesNotExist) {
  PacketRun run({{1_GBps, {}}}, {});
  const std::vector<LinkId> path{LinkId{1}};
  EXPECT_THROW(run.start(Path(path), 1_B), InternalError);
}

}  // namespace
}  // namespace moesim
