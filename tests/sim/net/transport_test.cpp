// What every registered transport must do, whatever the network.
#include <gtest/gtest.h>

#include "sim/core/check.h"
#include "sim/core/math.h"
#include "tests/support/packet_run.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

template <class Test>
void for_each_transport(Test test) {
  for (const std::string& name : Registry<TransportPolicy>::instance().names()) {
    SCOPED_TRACE(name);
    test(with_transport(name));
    if (testing::Test::HasFatalFailure()) return;
  }
}

// Tiny buffers, random losses, marks at every packet or none.
PacketOptions harsh(PacketOptions options, Rng& rng) {
  options.mtu = Bytes{rng.between(64, 8192)};
  options.buffer = rng.between(1, 6) * options.mtu;
  options.mark_from = options.mark_all = rng.between(0, 3) * options.mtu;
  options.loss_rate = rng.uniform() < 0.5 ? 0 : 0.4 * rng.uniform();
  options.seed = rng.next();
  return options;
}

// Whatever is lost on the way, every byte arrives once: a link has carried the payload of the flows that cross it, and
// what it carried in vain besides. What was lost behind the first link of a flow was sent over it again.
TEST(EveryTransport, DeliversEachByteOnceUnderHeavyLoss) {
  for_each_seed(60, [](Rng& rng) {
    const FlowProblem problem = random_problem(rng, 10, 20);
    std::vector<Bytes> payload(problem.links.size());
    for (const TimedFlow flow : problem.flows)
      for (const LinkId link : flow.path) payload[index(link)] += flow.bytes;
    for_each_transport([&](const PacketOptions& options) {
      const PacketRun run(problem, harsh(options, rng));
      EXPECT_EQ(run.finished, problem.flows.size());
      EXPECT_EQ(run.network.live(), 0u);
      Bytes again, in_vain;
      for (size_t link = 0; link < payload.size(); ++link) {
        const LinkQueueing& queueing = run.network.queueing(LinkId(link));
        EXPECT_EQ(run.network.use(LinkId(link)).carried, payload[link]);
        again += queueing.retransmitted;
        in_vain += queueing.carried_in_vain;
      }
      EXPECT_GE(again, in_vain);
      EXPECT_EQ(run.network.queueing().retransmitted, again);
    });
  });
}

// Over one path of two links everything that is lost is lost at the second: the first carries it again.
TEST(EveryTransport, CountsWhatItSendsAgainApart) {
  for_each_seed(20, [](Rng& rng) {
    for_each_transport([&](PacketOptions options) {
      options.loss_rate = 0.2;
      options.seed = rng.next();
      const Bytes bytes{rng.between(1, 1'000'000)};
      const FlowProblem problem{{{10_GBps, 1_us}, {10_GBps, 1_us}}, {{{LinkId{0}, LinkId{1}}, bytes, {}}}};
      const PacketRun run(problem, options);
      const LinkQueueing& first = run.network.queueing(LinkId{0});
      EXPECT_EQ(run.network.use(LinkId{0}).carried, bytes);
      EXPECT_EQ(first.retransmitted, first.carried_in_vain);
      EXPECT_EQ(run.network.queueing(LinkId{1}).carried_in_vain, 0_B);
    });
  });
}

// Sprayed flows: what crosses the fabric is the payload, whichever path each packet took.
TEST(EveryTransport, SprayedPacketsAllArriveOnce) {
  for_each_seed(40, [](Rng& rng) {
    for_each_transport([&](const PacketOptions& options) {
      const int64_t ways = rng.between(1, 6);
      std::vector<Link> links(size_t(2 * ways), {10_GBps, 1_us});
      for (Link& link : links) link = {Rate{1e9 * double(rng.between(1, 20))}, Duration{rng.between(0, 3'000'000)}};
      std::vector<std::vector<LinkId>> routes;
      for (int64_t way = 0; way < ways; ++way) routes.push_back({LinkId(2 * way), LinkId(2 * way + 1)});
      const std::vector<Path> paths(routes.begin(), routes.end());
      PacketRun run(links, harsh(options, rng));
      Bytes all;
      for (int flow = 0; flow < 5; ++flow) {
        const Bytes bytes{rng.between(0, 300'000)};
        run.start(paths, bytes);
        all += bytes;
      }
      run.sim.run();
      EXPECT_EQ(run.finished, 5u);
      Bytes carried;
      for (int64_t way = 0; way < ways; ++way) carried += run.network.use(LinkId(2 * way + 1)).carried;
      EXPECT_EQ(carried, all);
    });
  });
}

// Packets of 4000 B at 1 GB/s, 4 us each, over three links of 1 us: 3 us, all bytes over the narrowest link, and one
// packet over each other link, since each stores it whole before it sends it on. 10 packets: 3 + 40 + 2 x 4 = 51 us. Of
// 38,000 B the last packet is half as long, and waits for the one before it: 3 + 38 + 8 us. With half the rate in the
// middle: 3 + 80 + 8 us.
TEST(EveryTransport, AFlowAloneTakesItsLatencyItsBytesAndAPacketALink) {
  for_each_transport([](PacketOptions options) {
    options.mtu = Bytes{4000};
    const std::vector<LinkId> path{LinkId{0}, LinkId{1}, LinkId{2}};
    const auto makespan = [&](Rate middle, Bytes bytes) {
      return PacketRun(FlowProblem{{{1_GBps, 1_us}, {middle, 1_us}, {1_GBps, 1_us}}, {{path, bytes, {}}}}, options)
          .makespan();
    };
    EXPECT_EQ(makespan(1_GBps, 40'000_B), Time{} + 51_us);
    EXPECT_EQ(makespan(1_GBps, 38'000_B), Time{} + 49_us);
    EXPECT_EQ(makespan(Rate{0.5e9}, 40'000_B), Time{} + 91_us);
    EXPECT_EQ(makespan(1_GBps, 1_B), Time{} + 3_us + 3 * 1_ns);
    EXPECT_EQ(makespan(1_GBps, 0_B), Time{} + 3_us);
  });
}

TEST(EveryTransport, FlowsWithoutBytesOrLinksTakeTheirLatencyAndAreNeverDoneInsideStart) {
  for_each_transport([](const PacketOptions& options) {
    PacketRun run({{1_GBps, 300_ns}, {1_GBps, 200_ns}}, options);
    const std::vector<LinkId> both{LinkId{0}, LinkId{1}};
    run.start(Path(both), 0_B);
    run.start(Path(), 1000_B);
    EXPECT_EQ(run.finished, 0u);
    EXPECT_EQ(run.network.live(), 2u);
    run.sim.run();
    EXPECT_EQ(run.finish, (std::vector<Time>{Time{} + 500_ns, Time{}}));
    EXPECT_EQ(run.network.live(), 0u);
  });
}

// The same run is the same to the last bit; other random losses make another.
TEST(EveryTransport, DependsOnItsInputAlone) {
  Rng rng(7);
  const FlowProblem problem = random_problem(rng, 12, 40);
  for_each_transport([&](PacketOptions options) {
    options.loss_rate = 0.1;
    const uint64_t digest = PacketRun(problem, options).sim.digest.value();
    EXPECT_EQ(PacketRun(problem, options).sim.digest.value(), digest);
    options.seed = 2;
    EXPECT_NE(PacketRun(problem, options).sim.digest.value(), digest);
  });
}

// A change of the capacity of a link at a time.
struct Change {
  PacketNetwork& network;
  LinkId link;
  Rate capacity;
  void make() { network.set_capacity(link, capacity); }
};

// 1 MB over a link of 1 GB/s that fails at 100 us: 0.9 MB at least are left. Nothing happens until the link works again
// at 2 ms; then they take 0.9 ms at least.
TEST(EveryTransport, WaitsForAFailedLink) {
  for_each_transport([](const PacketOptions& options) {
    const std::vector<LinkId> path{LinkId{0}, LinkId{1}};
    for (const LinkId failing : path) {
      PacketRun run({{1_GBps, 1_us}, {1_GBps, 1_us}}, options);
      Change fails{run.network, failing, {}};
      Change works{run.network, failing, 1_GBps};
      run.sim.at<&Change::make>(Time{} + 100_us, fails);
      run.start(Path(path), 1'000'000_B);
      run.sim.run();  // ends, with the flow left
      EXPECT_EQ(run.network.live(), 1u);
      run.sim.at<&Change::make>(Time{} + 2_ms, works);
      run.sim.run();
      EXPECT_EQ(run.finished, 1u);
      EXPECT_GE(run.makespan(), Time{} + 2'900_us);
      EXPECT_LE(run.makespan(), Time{} + 3'100_us);
      EXPECT_EQ(run.network.use(failing).carried, 1'000'000_B);
    }
  });
}

// One of two paths fails for ever: what was lost there, and all that follows, takes the other.
TEST(EveryTransport, TakesTheOtherPathsWhenALinkFails) {
  for_each_transport([](const PacketOptions& options) {
    const std::vector<std::vector<LinkId>> routes{{LinkId{0}, LinkId{1}, LinkId{3}}, {LinkId{0}, LinkId{2}, LinkId{3}}};
    const std::vector<Path> paths(routes.begin(), routes.end());
    PacketRun run(std::vector<Link>(4, {1_GBps, 1_us}), options);
    Change fails{run.network, LinkId{1}, {}};
    run.sim.at<&Change::make>(Time{} + 100_us, fails);
    run.start(paths, 1'000'000_B);
    run.sim.run();
    EXPECT_EQ(run.finished, 1u);
    const Bytes failed = run.network.use(LinkId{1}).carried;
    EXPECT_GT(failed, 0_B);
    EXPECT_LE(failed, 100'000_B);  // 1 GB/s for 100 us
    EXPECT_EQ(failed + run.network.use(LinkId{2}).carried, 1'000'000_B);
    EXPECT_LE(run.makespan(), Time{} + 1'250_us);  // a timeout of 100 us and what was lost, besides the 1 ms
  });
}

// The rate halves when half of 1 MB has been sent: 0.5 ms and 1 ms, and latencies and packets on the way.
TEST(EveryTransport, GoesOnAtTheNewRateOfALink) {
  for_each_transport([](const PacketOptions& options) {
    const std::vector<LinkId> path{LinkId{0}, LinkId{1}};
    PacketRun run({{1_GBps, 1_us}, {1_GBps, 1_us}}, options);
    Change slower{run.network, LinkId{1}, Rate{0.5e9}};
    run.sim.at<&Change::make>(Time{} + 500_us, slower);
    run.start(Path(path), 1'000'000_B);
    run.sim.run();
    EXPECT_GE(run.makespan(), Time{} + 1'500_us);
    EXPECT_LE(run.makespan(), Time{} + 1'515_us);
  });
}

}  // namespace
}  // namespace moesim
