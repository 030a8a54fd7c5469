#include "sim/net/packet/port.h"

#include <gtest/gtest.h>

#include <deque>

#include "tests/support/random_network.h"

namespace moesim {
namespace {

constexpr PortRules kRules{Bytes{1000}, Bytes{10'000}, {}, {}, 0};

Packet packet_of(uint32_t number, uint16_t bytes) {
  Packet packet{};
  packet.number = number;
  packet.bytes = bytes;
  return packet;
}

Time us(double us) { return {int64_t(us * 1e6)}; }

// Packets of any size at any times: each leaves after all before it, as soon as the link has sent them; the queue
// holds those that have not left. Written down here packet by packet.
TEST(Port, IsFirstInFirstOutAtTheRateOfItsLink) {
  for_each_seed(100, [](Rng& rng) {
    Port port({1_GBps, 3_us}, kRules.mtu);
    struct Expected {
      uint32_t number;
      int64_t bytes;
      Time departs;
    };
    std::deque<Expected> on_the_link;
    Time now, free_at;
    const auto pop_until = [&](Time until) {
      while (port.next_arrival() <= until) {
        const Time arrival = port.next_arrival();
        const Packet packet = port.pop(arrival);
        ASSERT_FALSE(on_the_link.empty());
        EXPECT_EQ(packet.number, on_the_link.front().number);
        EXPECT_EQ(packet.departs, on_the_link.front().departs);
        EXPECT_EQ(arrival, packet.departs + 3_us);
        on_the_link.pop_front();
      }
    };
    for (uint32_t number = 0; number < 200; ++number) {
      now = now + Duration{rng.between(0, 1) * rng.between(0, 2'000'000)};
      pop_until(now);
      int64_t queue = 0;
      for (const Expected& expected : on_the_link) queue += expected.departs > now ? expected.bytes : 0;
      EXPECT_EQ(port.queue(now), queue);
      const int64_t bytes = rng.between(1, 1000);
      if (queue + bytes > kRules.buffer.count) continue;
      free_at = std::max(now, free_at) + Duration{bytes * 1000};  // 1 GB/s is 1000 ps a byte
      on_the_link.push_back({number, bytes, free_at});
      port.push(packet_of(number, uint16_t(bytes)), now, kRules);
    }
    pop_until(free_at + 3_us);
    EXPECT_TRUE(on_the_link.empty());
  });
}

// Three packets of 1000 B at 1 GB/s are to leave at 1, 2 and 3 us. At 1.5 us the rate is halved: the 0.5 us that are
// left of the second take 1 us, the third 2 us.
TEST(Port, SendsWhatIsQueuedAtTheNewRate) {
  Port port({1_GBps, {}}, kRules.mtu);
  for (uint32_t number = 0; number < 3; ++number) port.push(packet_of(number, 1000), {}, kRules);
  std::vector<Packet> lost;
  port.set_capacity(Rate{0.5e9}, us(1.5), kRules.mtu, lost);
  EXPECT_TRUE(lost.empty());
  EXPECT_EQ(port.pop(us(1.5)).departs, us(1));
  EXPECT_EQ(port.next_arrival(), us(2.5));
  EXPECT_EQ(port.pop(us(2.5)).number, 1u);
  EXPECT_EQ(port.next_arrival(), us(4.5));
  EXPECT_EQ(port.use(us(4.5)).busy, 4'500_ns);
  EXPECT_EQ(port.use(us(4.5)).carried, 3000_B);
}

// At 1.5 us the first has left and is on the wire; the one that is being sent and the one behind it are lost.
TEST(Port, LosesWhatHasNotLeftWhenItFails) {
  Port port({1_GBps, 5_us}, kRules.mtu);
  for (uint32_t number = 0; number < 3; ++number) port.push(packet_of(number, 1000), {}, kRules);
  std::vector<Packet> lost;
  port.set_capacity(Rate{}, us(1.5), kRules.mtu, lost);
  EXPECT_TRUE(port.has_failed());
  ASSERT_EQ(lost.size(), 2u);
  EXPECT_EQ(lost[0].number, 1u);
  EXPECT_EQ(lost[1].number, 2u);
  EXPECT_EQ(port.next_arrival(), us(6));
  EXPECT_EQ(port.pop(us(6)).number, 0u);
  EXPECT_EQ(port.next_arrival(), Port::kNever);
  EXPECT_EQ(port.use(us(6)).carried, 1000_B);
  EXPECT_EQ(port.use(us(6)).busy, 1'500_ns);
}

TEST(Port, RefusesWhatItHasNoRoomFor) {
  Port port({1_GBps, {}}, kRules.mtu);
  for (uint32_t number = 0; number < 10; ++number) port.push(packet_of(number, 1000), {}, kRules);
  EXPECT_THROW(port.push(packet_of(10, 1), {}, kRules), InternalError);
}

}  // namespace
}  // namespace moesim
