#include <gtest/gtest.h>

#include "sim/core/random.h"
#include "sim/net/message_network.h"
#include "tests/support/small_clos.h"

namespace moesim {
namespace {

// Sends all messages at once and writes down when each has arrived.
struct Sender {
  Sender(SmallClos& net, MessageNetworkOptions options)
      : network(sim, net.links, options, net, {&Sender::arrived, this}) {}

  void run(const std::vector<Message>& messages) {
    arrival.assign(messages.size(), Time{-1});
    for (size_t m = 0; m < messages.size(); ++m) network.send(messages[m], m);
    sim.run();
  }
  Bytes carried(LinkId link) const { return use(network.network(), link).carried; }

  Simulator sim;
  MessageNetwork network;
  std::vector<Time> arrival;

 private:
  static void arrived(void* self, uint64_t tag) {
    auto& sender = *static_cast<Sender*>(self);
    sender.arrival[tag] = sender.sim.now();
  }
};

MessageNetworkOptions with_changes(std::vector<LinkChange> changes, const char* paths = "hash", double tolerance = 0) {
  MessageNetworkOptions options;
  options.network.rate_tolerance = tolerance;
  options.paths = PolicyChoice<PathPolicy>(paths);
  options.changes = std::move(changes);
  return options;
}

Time at(Duration time) { return Time{} + time; }

// 1 MB over links of 10 GB/s takes 100 us after 2 us of latency. From 52 us on the host's link has 4 GB/s: 50 us moved
// 500 kB, the other 500 kB take 125 us. From 102 us on it has all again: 200 kB in those 50 us, 300 kB in 30 us.
TEST(LinkChange, SlowsWhatIsUnderWay) {
  SmallClos net(1, 2, 1);
  const std::vector<Message> messages = {{EndpointId{0}, EndpointId{1}, Bytes{1'000'000}, 0}};
  Sender slowed(net, with_changes({{at(52_us), LinkId{0}, 4_GBps}}));
  slowed.run(messages);
  EXPECT_EQ(slowed.arrival[0], at(177_us));
  Sender healed(net, with_changes({{at(52_us), LinkId{0}, 4_GBps}, {at(102_us), LinkId{0}, 10_GBps}}));
  healed.run(messages);
  EXPECT_EQ(healed.arrival[0], at(132_us));
}

// The uplink of the path fails after 40 us of sending (4 us of latency before): 400 kB went over it, 600 kB go over the
// other spine, without waiting.
TEST(LinkChange, MovesTheRestOfAFlowToAnotherPathWhenItsLinkFails) {
  for (const double tolerance : {0.0, 0.01}) {
    SmallClos net(2, 1, 2);
    const Message message{EndpointId{0}, EndpointId{1}, Bytes{1'000'000}, 3};
    const Path path = net.by_hash(message.from, message.to, message.key);
    const int32_t spine = path[1] == net.up(0, 0) ? 0 : 1;
    Sender sender(net, with_changes({{at(44_us), path[1], Rate{0}}}, "hash", tolerance));
    sender.run({message});
    EXPECT_EQ(sender.arrival[0], at(104_us));
    EXPECT_EQ(sender.carried(net.up(0, spine)), Bytes{400'000});
    EXPECT_EQ(sender.carried(net.up(0, 1 - spine)), Bytes{600'000});
    EXPECT_EQ(sender.carried(LinkId{0}), Bytes{1'000'000});
  }
}

// Packets on the failed link are lost and go again, after a timeout of 100 us.
TEST(LinkChange, SendsPacketsAnotherWayToo) {
  for (const std::string& transport : Registry<TransportPolicy>::instance().names()) {
    SCOPED_TRACE(transport);
    SmallClos net(2, 1, 2);
    const Message message{EndpointId{0}, EndpointId{1}, Bytes{1'000'000}, 3};
    const Path path = net.by_hash(message.from, message.to, message.key);
    MessageNetworkOptions options = with_changes({{at(44_us), path[1], Rate{0}}});
    options.network.fidelity = Fidelity::packet;
    options.network.packet.transport = PolicyChoice<TransportPolicy>(transport);
    Sender sender(net, options);
    sender.run({message});
    EXPECT_GE(sender.arrival[0], at(104_us));
    EXPECT_LE(sender.arrival[0], at(300_us));
  }
}

// Failed before the first byte gets there, at 1 us of 4: all of it goes the other way.
TEST(LinkChange, MovesAFlowThatIsStillOnItsWay) {
  SmallClos net(2, 1, 2);
  const Message message{EndpointId{0}, EndpointId{1}, Bytes{1'000'000}, 3};
  const LinkId uplink = net.by_hash(message.from, message.to, message.key)[1];
  Sender sender(net, with_changes({{at(1_us), uplink, Rate{0}}}));
  sender.run({message});
  EXPECT_EQ(sender.arrival[0], at(104_us));
  EXPECT_EQ(sender.carried(uplink), 0_B);
}

// With one spine there is no other way: 40 us of sending, 100 us of waiting, 60 us of sending.
TEST(LinkChange, LetsAFlowWithoutAnotherPathWaitUntilTheLinkComesBack) {
  for (const double tolerance : {0.0, 0.01}) {
    SmallClos net(2, 1, 1);
    Sender sender(net, with_changes({{at(44_us), net.up(0, 0), Rate{0}}, {at(144_us), net.up(0, 0), 10_GBps}}, "hash",
                                    tolerance));
    sender.run({{EndpointId{0}, EndpointId{1}, Bytes{1'000'000}, 0}});
    EXPECT_EQ(sender.arrival[0], at(204_us));
  }
}

// Sends its message at 10 us, when the link has failed for good.
struct LateSender {
  void send() { sender.network.send(message, 0); }
  Sender& sender;
  Message message;
};

// Whatever the policy, later messages take what is up: 1 MB alone over the host's link of 10 GB/s, 100 us, and 4 us of
// latency; in packets of 4 KiB, 0.4096 us more on each of three links.
TEST(LinkChange, OffersLaterMessagesOnlyPathsThatWork) {
  for (const auto& entry : Registry<PathPolicy>::instance().entries())
    for (const Fidelity fidelity : {Fidelity::flow, Fidelity::packet})
      for (int32_t spine = 0; spine < 3; ++spine) {
        SCOPED_TRACE(entry.name);
        SmallClos net(2, 1, 3);
        MessageNetworkOptions options = with_changes({{at(5_us), net.up(0, spine), Rate{0}}}, entry.name.c_str());
        options.network.fidelity = fidelity;
        Sender sender(net, options);
        sender.arrival.assign(1, Time{-1});
        LateSender late{sender, {EndpointId{0}, EndpointId{1}, Bytes{1'000'000}, 3}};
        sender.sim.at<&LateSender::send>(at(10_us), late);
        sender.sim.run();
        EXPECT_GE(sender.arrival[0], at(114_us));
        EXPECT_LE(sender.arrival[0], at(114_us) + (fidelity == Fidelity::flow ? 1_ps : 2_us));
        EXPECT_EQ(sender.carried(net.up(0, spine)), 0_B);
      }
}

TEST(LinkChange, LeavesWhatIsCutOffUnderWay) {
  SmallClos net(2, 1, 1);
  Sender sender(net, with_changes({{at(44_us), net.up(0, 0), Rate{0}}}));
  sender.run({{EndpointId{0}, EndpointId{1}, Bytes{1'000'000}, 0}});
  EXPECT_EQ(sender.arrival[0], Time{-1});
  EXPECT_EQ(live(sender.network.network()), 1u);
}

// Whatever fails, slows down and heals while messages travel by whatever policy, each arrives, no link carries more
// than it could (the ledger CHECKs it), and the last links carry exactly the bytes that were sent to their hosts.
TEST(LinkChange, BringsEveryByteToItsHostWhateverHappensToTheFabric) {
  for (const auto& entry : Registry<PathPolicy>::instance().entries())
    for (uint64_t seed = 0; seed < 40; ++seed) {
      SCOPED_TRACE(entry.name);
      SCOPED_TRACE(seed);
      Rng rng(seed);
      SmallClos net(3, 3, 4);
      std::vector<Message> messages;
      std::vector<Bytes> to_host(size_t(net.hosts()));
      for (int i = 0; i < 60; ++i) {
        const auto from = int32_t(rng.below(9));
        const auto to = int32_t((from + 1 + int32_t(rng.below(8))) % 9);
        messages.push_back({EndpointId{from}, EndpointId{to}, Bytes{rng.between(0, 300'000)}, rng.next()});
        to_host[size_t(to)] += messages.back().bytes;
      }
      std::vector<LinkChange> changes;
      for (int i = 0; i < 20; ++i) {  // of the fabric; all heals in the end
        const LinkId link{int32_t(rng.between(18, int64_t(net.links.size()) - 1))};
        changes.push_back({Time{rng.between(0, 200'000'000)}, link, Rate{double(rng.below(3)) * 5e9}});
        changes.push_back({at(300_us), link, 10_GBps});
      }
      std::stable_sort(changes.begin(), changes.end(),
                       [](const LinkChange& a, const LinkChange& b) { return a.at < b.at; });
      Sender sender(net, with_changes(changes, entry.name.c_str(), seed % 2 == 0 ? 0.0 : 0.01));
      sender.run(messages);
      for (const Time arrival : sender.arrival) EXPECT_GE(arrival, Time{});
      for (int32_t host = 0; host < net.hosts(); ++host)
        EXPECT_EQ(sender.carried(LinkId(net.hosts() + host)), to_host[size_t(host)]);
    }
}

}  // namespace
}  // namespace moesim
