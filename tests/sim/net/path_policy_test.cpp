#include "sim/net/path_policy.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>

#include "sim/config/error.h"
#include "sim/config/json.h"
#include "sim/config/reader.h"
#include "sim/net/message_network.h"
#include "tests/support/small_clos.h"

namespace moesim {
namespace {

std::vector<PathPart> decide(SmallClos& net, const PolicyChoice<PathPolicy>& policy,
                             const std::vector<Message>& messages) {
  Rng rng(1);
  const std::vector<Bytes> pending(net.links.size());
  return policy.decide({messages, [&](const Message& m) { return net.choices(m.from, m.to); },
                        [&](const Message& m) { return net.by_hash(m.from, m.to, m.key); }, net.links, pending},
                       rng);
}

// Bytes on each link, where a sprayed part puts an equal share on each of its paths.
std::vector<double> loads(const SmallClos& net, const std::vector<PathPart>& parts) {
  std::vector<double> load(net.links.size(), 0);
  for (const PathPart& part : parts)
    for (const Path path : part.paths)
      for (const LinkId link : path) load[index(link)] += double(part.bytes.count) / double(part.paths.size());
  return load;
}

PolicyChoice<PathPolicy> minimal_split(const char* pieces) {
  PolicyChoice<PathPolicy> choice;
  std::vector<Fault> faults;
  const std::string text = std::string(R"({"policy": "minimal_split", "pieces": ")") + pieces + "\"}";
  choice.read(parse_json(text, "test"), Place{}, faults);
  EXPECT_TRUE(faults.empty());
  return choice;
}

// The law of every path policy: the parts of a message sum to it, none is empty unless it is, and each takes paths
// that join its ends.
TEST(EveryPathPolicy, SendsEachMessageWholeOverItsOwnPaths) {
  for (const auto& entry : Registry<PathPolicy>::instance().entries())
    for (uint64_t seed = 0; seed < 100; ++seed) {
      SCOPED_TRACE(entry.name);
      SCOPED_TRACE(seed);
      Rng rng(seed);
      SmallClos net(int32_t(rng.between(1, 4)), int32_t(rng.between(1, 4)), int32_t(rng.between(1, 6)));
      std::vector<Message> messages;
      for (int64_t i = rng.between(0, 40); i > 0; --i)
        messages.push_back({EndpointId(rng.below(uint64_t(net.hosts()))), EndpointId(rng.below(uint64_t(net.hosts()))),
                            Bytes{rng.between(0, 3) * rng.between(1, 1000)}, rng.next()});
      std::vector<Bytes> sent(messages.size());
      std::vector<int> parts_of(messages.size(), 0);
      for (const PathPart& part : decide(net, PolicyChoice<PathPolicy>(entry.name), messages)) {
        ASSERT_LT(part.message, messages.size());
        const Message& message = messages[part.message];
        sent[part.message] += part.bytes;
        ++parts_of[part.message];
        EXPECT_TRUE(part.bytes > Bytes{} || message.bytes == Bytes{});
        const std::span<const Path> choices = net.choices(message.from, message.to);
        EXPECT_FALSE(part.paths.empty());
        for (const Path path : part.paths)
          EXPECT_TRUE(std::any_of(choices.begin(), choices.end(), [&](Path c) { return c.data() == path.data(); }));
      }
      for (size_t m = 0; m < messages.size(); ++m) {
        EXPECT_EQ(sent[m], messages[m].bytes);
        EXPECT_GE(parts_of[m], 1);
      }
    }
}

// r equal messages leave leaf 0, of sizes that the spines divide, to hosts of other leaves.
std::vector<Message> leaving(const SmallClos& net, int32_t count, Bytes bytes, Rng& rng) {
  std::vector<Message> messages;
  for (int32_t i = 0; i < count; ++i)
    messages.push_back({EndpointId(rng.below(uint64_t(net.hosts_a_leaf))),
                        EndpointId(rng.between(net.hosts_a_leaf, net.hosts() - 1)), bytes, rng.next()});
  return messages;
}

// Every way up carries exactly r x bytes / s, which is what ideal spraying puts on it (arXiv 2407.00550), with
// r - r' + r' s / gcd(r', s) equal pieces, r' = r mod s, or r + s - gcd(r, s) pieces of any size (r' > 0).
TEST(MinimalSplit, LoadsEachUplinkAsIdealSprayingDoesWithTheFewestPieces) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    SmallClos net(3, 4, int32_t(rng.between(1, 8)));
    const int64_t s = net.spines;
    const auto r = int32_t(rng.between(1, 30));
    const std::vector<Message> messages = leaving(net, r, Bytes{840 * rng.between(1, 9)}, rng);  // 840 = lcm(1..8)
    const std::vector<double> sprayed = loads(net, decide(net, PolicyChoice<PathPolicy>("spray"), messages));
    const int64_t rest = r % s;
    const int64_t equal_pieces = r - rest + (rest == 0 ? 0 : rest * s / std::gcd(rest, s));
    const int64_t any_pieces = rest == 0 ? r : r - rest + rest + s - std::gcd(rest, s);
    for (const auto& [pieces, count] : {std::pair{"equal", equal_pieces}, std::pair{"any", any_pieces}}) {
      const std::vector<PathPart> parts = decide(net, minimal_split(pieces), messages);
      EXPECT_EQ(int64_t(parts.size()), count) << pieces;
      const std::vector<double> load = loads(net, parts);
      for (int32_t spine = 0; spine < net.spines; ++spine)
        EXPECT_NEAR(load[index(net.up(0, spine))], sprayed[index(net.up(0, spine))], 1e-6) << pieces;
    }
  }
}

// The fewest pieces into which `rest` flows must be cut so that `ways` bins get equal amounts, by brute force: the
// flows fall into groups that fill whole bins, and a group of f flows in b bins needs at least f + b - 1 pieces (its
// graph of flows and bins is connected). So the fewest is rest + ways - (the most groups), and a group of f flows fills
// b bins only if f / b = rest / ways.
int64_t fewest_pieces(int64_t rest, int64_t ways) {
  int64_t groups = 0;
  for (int64_t f = 1, left = rest; f <= left;) {
    if (f * ways % rest == 0)
      left -= f, ++groups, f = 1;
    else
      ++f;
  }
  return rest + ways - groups;
}

TEST(MinimalSplit, NoCutOfAnyKindHasFewerPieces) {
  Rng rng(1);
  for (int32_t spines = 2; spines <= 8; ++spines)
    for (int32_t rest = 1; rest < spines; ++rest) {
      SmallClos net(2, 4, spines);
      const std::vector<PathPart> parts = decide(net, minimal_split("any"), leaving(net, rest, Bytes{840}, rng));
      EXPECT_EQ(int64_t(parts.size()), fewest_pieces(rest, spines)) << rest << " of " << spines;
    }
}

// In an all-to-all whole flows are enough: 4 hosts send to 4 others of each leaf over 4 spines, so that the ways down
// are even too, 4 flows each.
TEST(MinimalSplit, CutsNothingInAnAllToAll) {
  SmallClos net(3, 4, 4);
  std::vector<Message> messages;
  for (int32_t from = 0; from < net.hosts(); ++from)
    for (int32_t to = 0; to < net.hosts(); ++to)
      if (from != to) messages.push_back({EndpointId{from}, EndpointId{to}, 1000_B, 0});
  const std::vector<PathPart> parts = decide(net, minimal_split("equal"), messages);
  EXPECT_EQ(parts.size(), messages.size());
  const std::vector<double> load = loads(net, parts);
  for (int32_t leaf = 0; leaf < 3; ++leaf)
    for (int32_t spine = 0; spine < 4; ++spine) {
      EXPECT_EQ(load[index(net.up(leaf, spine))], 8000);  // 4 hosts x 8 destinations / 4 spines
      EXPECT_EQ(load[index(net.down(leaf, spine))], 8000);
    }
}

// 1, 2, 1 and 1 kB over two spines: the third goes where the first one was, and the fourth too.
TEST(LeastLoaded, TakesThePathWithTheLeastToCarry) {
  SmallClos net(2, 4, 2);
  std::vector<Message> messages;
  for (const int64_t kilobytes : {1, 2, 1, 1})
    messages.push_back(
        {EndpointId(messages.size()), EndpointId(4 + int32_t(messages.size())), Bytes{1000 * kilobytes}, 0});
  const std::vector<double> load = loads(net, decide(net, PolicyChoice<PathPolicy>("least_loaded"), messages));
  std::multiset<double> ups = {load[index(net.up(0, 0))], load[index(net.up(0, 1))]};
  EXPECT_EQ(ups, (std::multiset<double>{2000, 3000}));
}

class Sender {
 public:
  Sender(SmallClos& net, const PolicyChoice<PathPolicy>& policy)
      : network(sim, net.links, {{}, policy}, net, {&Sender::arrived, this}) {}

  Time run(const std::vector<Message>& messages) {
    for (size_t m = 0; m < messages.size(); ++m) network.send(messages[m], m);
    sim.run();
    EXPECT_EQ(count, messages.size());
    return last;
  }

  Simulator sim;
  MessageNetwork network;
  size_t count = 0;
  Time last;

 private:
  static void arrived(void* self, uint64_t) {
    auto& sender = *static_cast<Sender*>(self);
    ++sender.count;
    sender.last = sender.sim.now();
  }
};

// A ring has one flow out of each host, over leaves that face each other: r' = 1 flow a leaf crosses. Whatever the
// policy, the host's own link of 10 GB/s is the bottleneck: 1 MB / 10 GB/s = 100 us, and 2 or 4 us of latency.
TEST(EveryPathPolicy, GainsNothingOnARing) {
  for (const auto& entry : Registry<PathPolicy>::instance().entries()) {
    SmallClos net(4, 4, 4);
    std::vector<Message> ring;
    for (int32_t host = 0; host < net.hosts(); ++host)
      ring.push_back({EndpointId{host}, EndpointId{(host + 1) % net.hosts()}, Bytes{1'000'000}, uint64_t(host)});
    EXPECT_EQ(Sender(net, PolicyChoice<PathPolicy>(entry.name)).run(ring), Time{} + 104_us) << entry.name;
  }
}

// All to all over a non-blocking fabric: each host sends and gets 12 x 100 kB outside its leaf and 3 inside, 1.5 MB in
// 150 us at the least. Policies that balance the fabric reach it (and up to 4 us of latency); the hash collides.
TEST(MessageNetwork, BalancedPathsReachTheHostsBoundInAnAllToAll) {
  const auto makespan = [](const std::string& policy) {
    SmallClos net(4, 4, 4);
    std::vector<Message> messages;
    for (int32_t from = 0; from < 16; ++from)
      for (int32_t to = 0; to < 16; ++to)
        if (from != to)
          messages.push_back({EndpointId{from}, EndpointId{to}, Bytes{100'000}, splitmix64(uint64_t(from * 16 + to))});
    return Sender(net, PolicyChoice<PathPolicy>(policy)).run(messages);
  };
  for (const char* balanced : {"spray", "split", "minimal_split"}) {
    EXPECT_GE(makespan(balanced), Time{} + 152_us) << balanced;
    EXPECT_LE(makespan(balanced), Time{} + 155_us) << balanced;
  }
  EXPECT_GT(makespan("hash"), Time{} + 170_us);
}

}  // namespace
}  // namespace moesim
