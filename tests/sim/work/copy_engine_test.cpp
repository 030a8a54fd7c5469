#include "sim/work/copy_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "tests/support/random_network.h"
#include "tests/support/script.h"
#include "tests/support/two_links.h"

namespace moesim {
namespace {

// A link of 10 GB/s each way: 100,000 B, the chunk of most tests, take 10 us.
struct Host {
  Simulator sim;
  Script script{sim};
  TwoLinks paths;
  Executor executor{sim, {}, {{10_GBps, {}}, {10_GBps, {}}}, paths, 0, {}};
};

// The client: notes what arrives, and refuses the tags it is told to.
struct Copies {
  explicit Copies(Host& on, const CopyOptions& options = {100'000_B, {}, {}})
      : host(on), engine(on.sim, on.executor, options, {this, &Copies::admit, &Copies::arrived}) {}

  struct Chunk {
    uint64_t tag = 0;
    Bytes so_far;
    Time at;
    friend bool operator==(const Chunk&, const Chunk&) = default;
  };

  static bool admit(void* self, uint64_t tag) {
    auto& copies = *static_cast<Copies*>(self);
    copies.asked.push_back(tag);
    if (copies.when_asked) copies.when_asked(tag);
    return std::count(copies.refuses.begin(), copies.refuses.end(), tag) == 0;
  }
  static void arrived(void* self, uint64_t tag, Bytes so_far) {
    auto& copies = *static_cast<Copies*>(self);
    copies.chunks.push_back({tag, so_far, copies.host.sim.now()});
    if (copies.when_arrived) copies.when_arrived(tag);
  }

  CopyId submit(uint64_t tag, Bytes bytes, int64_t urgency) {
    return engine.submit({EndpointId{0}, EndpointId{1}, bytes, urgency, bytes, tag});
  }

  Host& host;
  CopyEngine engine;
  std::vector<Chunk> chunks;
  std::vector<uint64_t> asked;
  std::vector<uint64_t> refuses;
  std::function<void(uint64_t)> when_asked;
  std::function<void(uint64_t)> when_arrived;
};

using Chunks = std::vector<Copies::Chunk>;

// The prefetch's second chunk is on its way from 10 to 20 us. The demand's two chunks follow it, then the prefetch's
// last.
TEST(CopyEngine, AnUrgentCopyBeginsAfterTheChunkThatIsOnItsWay) {
  Host host;
  Copies copies(host);
  copies.submit(1, 300'000_B, 9);
  host.script.at(12_us, [&] { copies.submit(2, 200'000_B, 0); });
  host.sim.run();
  EXPECT_EQ(copies.chunks, (Chunks{{1, 100'000_B, Time{} + 10_us},
                                   {1, 200'000_B, Time{} + 20_us},
                                   {2, 100'000_B, Time{} + 30_us},
                                   {2, 200'000_B, Time{} + 40_us},
                                   {1, 300'000_B, Time{} + 50_us}}));
  EXPECT_EQ(copies.engine.busy(), 50_us);
  EXPECT_EQ(copies.engine.carried(), 500'000_B);
}

// A chunk is chosen when all else at the instant is done, in whatever order it is done.
TEST(CopyEngine, WhatIsSubmittedAtTheBoundaryItselfHasItsSay) {
  Host host;
  Copies copies(host);
  copies.submit(1, 200'000_B, 9);
  copies.when_arrived = [&](uint64_t tag) {
    if (tag == 1 && copies.chunks.size() == 1) copies.submit(2, 100'000_B, 0);
  };
  host.sim.run();
  EXPECT_EQ(copies.chunks,
            (Chunks{{1, 100'000_B, Time{} + 10_us}, {2, 100'000_B, Time{} + 20_us}, {1, 200'000_B, Time{} + 30_us}}));
}

TEST(CopyEngine, EquallyUrgentCopiesGoInOrderOfSubmission) {
  Host host;
  Copies copies(host);
  for (const uint64_t tag : {4, 2, 3}) copies.submit(tag, 150'000_B, 5);
  host.sim.run();
  EXPECT_EQ(copies.chunks, (Chunks{{4, 100'000_B, Time{} + 10_us},
                                   {4, 150'000_B, Time{} + 15_us},
                                   {2, 100'000_B, Time{} + 25_us},
                                   {2, 150'000_B, Time{} + 30_us},
                                   {3, 100'000_B, Time{} + 40_us},
                                   {3, 150'000_B, Time{} + 45_us}}));
}

TEST(CopyEngine, AWaitingCopyMayBecomeMoreUrgent) {
  Host host;
  Copies copies(host);
  copies.submit(1, 300'000_B, 5);
  const CopyId second = copies.submit(2, 100'000_B, 6);
  host.script.at(3_us, [&] { copies.engine.set_urgency(second, 4); });
  host.sim.run();
  ASSERT_EQ(copies.chunks.size(), 4u);
  EXPECT_EQ(copies.chunks[1], (Copies::Chunk{2, 100'000_B, Time{} + 20_us}));
}

// 5 us of latency, 1 us of gap and 10 us for the bytes: 16 us; the second follows directly: 11 us. The third finds the
// engine idle.
TEST(CopyEngine, LatencyIsPaidByChunksThatFollowNoneDirectly) {
  Host host;
  Copies copies(host, {100'000_B, 5_us, 1_us});
  copies.submit(1, 200'000_B, 0);
  host.script.at(2_us, [&] {
    EXPECT_TRUE(copies.engine.active());
    EXPECT_EQ(copies.engine.on_the_way(), 100'000_B);
    EXPECT_EQ(copies.engine.busy(), 2_us);
  });
  host.script.at(50_us, [&] {
    EXPECT_FALSE(copies.engine.active());
    EXPECT_EQ(copies.engine.on_the_way(), 0_B);
    copies.submit(2, 100'000_B, 0);
  });
  host.sim.run();
  EXPECT_EQ(copies.chunks,
            (Chunks{{1, 100'000_B, Time{} + 16_us}, {1, 200'000_B, Time{} + 27_us}, {2, 100'000_B, Time{} + 66_us}}));
  EXPECT_EQ(copies.engine.busy(), 43_us);
}

// What is ready at once goes, though it is less than a chunk: 50 kB until 5 us, then two chunks of what was fed, and
// the last 50 kB when they are there, at 60 us.
TEST(CopyEngine, ACopyIsFedWhileItGoesOn) {
  Host host;
  Copies copies(host);
  const CopyId copy = copies.engine.submit({EndpointId{0}, EndpointId{1}, 300'000_B, 0, 50'000_B, 1});
  host.script.at(2_us, [&] { copies.engine.feed(copy, 250'000_B); });
  host.script.at(50_us, [&] { EXPECT_EQ(copies.engine.left(copy), 50'000_B); });
  host.script.at(60_us, [&] { copies.engine.feed(copy, 300'000_B); });
  host.sim.run();
  EXPECT_EQ(copies.chunks, (Chunks{{1, 50'000_B, Time{} + 5_us},
                                   {1, 150'000_B, Time{} + 15_us},
                                   {1, 250'000_B, Time{} + 25_us},
                                   {1, 300'000_B, Time{} + 65_us}}));
}

// A first engine brings chunks from 0 to 1, a second one takes each on as it arrives: 10 us behind.
TEST(CopyEngine, FeedsASecondHopChunkByChunk) {
  Host host;
  Copies first(host);
  Copies second(host);
  const CopyId onward = second.engine.submit({EndpointId{1}, EndpointId{0}, 300'000_B, 0, 0_B, 1});
  first.when_arrived = [&](uint64_t) { second.engine.feed(onward, first.chunks.back().so_far); };
  first.submit(1, 300'000_B, 0);
  host.sim.run();
  EXPECT_EQ(second.chunks,
            (Chunks{{1, 100'000_B, Time{} + 20_us}, {1, 200'000_B, Time{} + 30_us}, {1, 300'000_B, Time{} + 40_us}}));
}

// The refused one is passed over until 25 us; then it goes first, after the chunk on its way. It is asked for twice,
// the other once for its three chunks.
TEST(CopyEngine, WhatIsNotAdmittedWaitsForRetry) {
  Host host;
  Copies copies(host);
  copies.refuses = {1};
  copies.submit(1, 100'000_B, 0);
  copies.submit(2, 400'000_B, 5);
  host.script.at(25_us, [&] {
    copies.refuses.clear();
    copies.engine.retry();
  });
  host.sim.run();
  EXPECT_EQ(copies.asked, (std::vector<uint64_t>{1, 2, 1}));
  ASSERT_EQ(copies.chunks.size(), 5u);
  EXPECT_EQ(copies.chunks[3], (Copies::Chunk{1, 100'000_B, Time{} + 40_us}));
}

TEST(CopyEngine, RetryWakesAnIdleEngine) {
  Host host;
  Copies copies(host);
  copies.refuses = {1};
  copies.submit(1, 100'000_B, 0);
  host.script.at(25_us, [&] { copies.engine.retry(); });
  host.script.at(50_us, [&] {
    copies.refuses.clear();
    copies.engine.retry();
  });
  host.sim.run();
  EXPECT_EQ(copies.asked, (std::vector<uint64_t>{1, 1, 1}));
  EXPECT_EQ(copies.chunks, (Chunks{{1, 100'000_B, Time{} + 60_us}}));
}

TEST(CopyEngine, OnlyWhatHasNotBegunIsCancelled) {
  Host host;
  Copies copies(host);
  copies.refuses = {3};
  const CopyId first = copies.submit(1, 200'000_B, 0);
  const CopyId second = copies.submit(2, 200'000_B, 1);
  const CopyId refused = copies.submit(3, 200'000_B, -1);
  const CopyId hungry = copies.engine.submit({EndpointId{0}, EndpointId{1}, 1_B, 0, 0_B, 4});
  host.script.at(5_us, [&] {
    EXPECT_TRUE(copies.engine.begun(first));
    EXPECT_FALSE(copies.engine.begun(second));
    EXPECT_FALSE(copies.engine.cancel(first));
    EXPECT_TRUE(copies.engine.cancel(second));
    EXPECT_TRUE(copies.engine.cancel(refused));
    EXPECT_TRUE(copies.engine.cancel(hungry));
    copies.engine.retry();
  });
  host.sim.run();
  EXPECT_EQ(copies.chunks, (Chunks{{1, 100'000_B, Time{} + 10_us}, {1, 200'000_B, Time{} + 20_us}}));
}

// As a cache does that makes room, or finds that the expert is there by now.
TEST(CopyEngine, AClientThatIsAskedMaySubmitAndCancel) {
  Host host;
  Copies copies(host);
  std::vector<CopyId> ids{copies.submit(1, 100'000_B, 0), copies.submit(2, 100'000_B, 1)};
  copies.when_asked = [&](uint64_t tag) {
    if (tag != 1) return;
    EXPECT_TRUE(copies.engine.cancel(ids[0]));  // the one that is asked for
    EXPECT_TRUE(copies.engine.cancel(ids[1]));
    copies.submit(3, 200'000_B, 2);
  };
  host.sim.run();
  EXPECT_EQ(copies.chunks, (Chunks{{3, 100'000_B, Time{} + 10_us}, {3, 200'000_B, Time{} + 20_us}}));
}

// The slower memory stretches what the network took: 10 us by a half, from the next chunk on.
TEST(CopyEngine, SlowsDownFromTheNextChunkOn) {
  Host host;
  Copies copies(host, {100'000_B, 5_us, 1_us});
  copies.submit(1, 300'000_B, 0);
  host.script.at(3_us, [&] { copies.engine.set_slowdown(1.5); });
  host.script.at(20_us, [&] { copies.engine.set_slowdown(1); });
  host.sim.run();
  EXPECT_EQ(copies.chunks,
            (Chunks{{1, 100'000_B, Time{} + 16_us}, {1, 200'000_B, Time{} + 32_us}, {1, 300'000_B, Time{} + 43_us}}));
  EXPECT_EQ(copies.engine.busy(), 43_us);
}

// Two chunks of 10 us at once share the link and take 20 us each.
TEST(CopyEngine, TwoEnginesShareALinkHalfAndHalf) {
  Host host;
  Copies one(host);
  Copies other(host);
  one.submit(1, 200'000_B, 0);
  other.submit(2, 200'000_B, 0);
  host.sim.run();
  EXPECT_EQ(one.chunks, (Chunks{{1, 100'000_B, Time{} + 20_us}, {1, 200'000_B, Time{} + 40_us}}));
  EXPECT_EQ(other.chunks, (Chunks{{2, 100'000_B, Time{} + 20_us}, {2, 200'000_B, Time{} + 40_us}}));
}

TEST(CopyEngine, RefusesWhatMakesNoSense) {
  Host host;
  Copies copies(host);
  EXPECT_THROW(copies.submit(1, 0_B, 0), InternalError);
  const CopyId copy = copies.engine.submit({EndpointId{0}, EndpointId{1}, 100_B, 0, 50_B, 1});
  EXPECT_THROW(copies.engine.feed(copy, 40_B), InternalError);
  EXPECT_THROW(copies.engine.feed(copy, 101_B), InternalError);
  EXPECT_THROW(copies.engine.set_slowdown(0.5), InternalError);
  copies.engine.cancel(copy);
  EXPECT_THROW(copies.engine.left(copy), InternalError);
}

}  // namespace
}  // namespace moesim
