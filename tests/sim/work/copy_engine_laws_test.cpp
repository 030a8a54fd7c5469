// What holds of a copy engine whatever is asked of it: random cases, and a model that knows only the rules.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <vector>

#include "sim/work/copy_engine.h"
#include "tests/support/random_network.h"
#include "tests/support/script.h"
#include "tests/support/two_links.h"

namespace moesim {
namespace {

constexpr Duration kLinkLatency{300'000};

// A client that knows by the rules which copy is next, and holds the engine to it.
struct Watcher {
  struct Known {
    CopyId id{};
    Bytes bytes;
    Bytes ready;
    Bytes sent;
    Bytes arrived;
    int64_t urgency = 0;
    bool begun = false;
    bool refused = false;
    bool over = false;  // or cancelled
  };
  struct Expected {
    size_t tag = 0;
    Bytes bytes;
    Time begun;
    Duration takes;
  };

  explicit Watcher(const CopyOptions& with)
      : options(with), engine(sim, executor, with, {this, &Watcher::admit, &Watcher::arrived}) {}

  bool eligible(const Known& copy) const { return !copy.over && !copy.refused && copy.ready > copy.sent; }
  std::optional<size_t> next() const {
    std::optional<size_t> best;
    for (size_t tag = 0; tag < copies.size(); ++tag)
      if (eligible(copies[tag]) && (!best || copies[tag].urgency < copies[*best].urgency)) best = tag;
    return best;
  }

  static bool admit(void* self, uint64_t tag) {
    auto& watcher = *static_cast<Watcher*>(self);
    Known& copy = watcher.copies[tag];
    EXPECT_FALSE(watcher.calling);
    EXPECT_FALSE(copy.begun);
    EXPECT_EQ(watcher.next(), std::optional<size_t>(tag));
    copy.begun = watcher.admits_all || tag % 3 != 0;
    copy.refused = !copy.begun;
    return copy.begun;
  }
  static void arrived(void* self, uint64_t tag, Bytes so_far) { static_cast<Watcher*>(self)->count(tag, so_far); }

  void count(size_t tag, Bytes so_far) {
    EXPECT_FALSE(calling);
    ASSERT_TRUE(chunk.has_value());
    EXPECT_EQ(tag, chunk->tag);
    EXPECT_EQ(so_far, copies[tag].arrived + chunk->bytes);
    const Duration took = sim.now() - chunk->begun;
    EXPECT_LE(std::abs(took.ps - chunk->takes.ps), 3);  // roundings of the network's time and of the slowdown
    busy += took;
    carried += chunk->bytes;
    copies[tag].arrived = so_far;
    copies[tag].over = so_far == copies[tag].bytes;
    finished = sim.now();
    chunk.reset();
    sim.settle<&Watcher::look_later>(*this);
  }

  // Calls the engine, and looks at what it does at the end of the instant.
  template <class Call>
  void call(Call call_engine) {
    calling = true;
    call_engine();
    calling = false;
    sim.settle<&Watcher::look_later>(*this);
  }

  // The engine may be asked to choose after this was, in the same round of settling: by a chunk that arrives later in
  // the instant.
  void look_later() { sim.settle<&Watcher::look>(*this); }

  // It never rests while there is something to copy, and has begun what is next by the rules: count() sees which.
  void look() {
    const std::optional<size_t> tag = next();
    EXPECT_TRUE(engine.active() || !tag.has_value());
    if (!engine.active() || chunk) return;
    ASSERT_TRUE(tag.has_value());
    Known& copy = copies[*tag];
    EXPECT_TRUE(copy.begun);
    EXPECT_TRUE(engine.begun(copy.id));
    const Bytes bytes = std::min(options.chunk, copy.ready - copy.sent);
    EXPECT_EQ(engine.on_the_way(), bytes);
    const Duration network = kLinkLatency + transfer_time(bytes, 10_GBps);
    const Duration wait = finished == sim.now() ? options.gap : options.latency + options.gap;
    chunk = {*tag, bytes, sim.now(), wait + duration_of_seconds(network.seconds() * slowdown)};
    copy.sent += bytes;
  }

  Simulator sim;
  Script script{sim};
  TwoLinks paths;
  Executor executor{sim, {}, {{10_GBps, kLinkLatency}, {10_GBps, kLinkLatency}}, paths, 0, {}};
  CopyOptions options;
  CopyEngine engine;
  std::vector<Known> copies;  // [tag], which is the order of submission
  std::optional<Expected> chunk;
  bool calling = false;
  bool admits_all = false;
  double slowdown = 1;
  Time finished{-1};
  Duration busy;
  Bytes carried;
};

void submit(Watcher& watcher, Rng& rng) {
  const Bytes bytes{rng.between(1, 500'000)};
  const Bytes ready = rng.below(2) == 0 ? bytes : Bytes{rng.between(0, bytes.count)};
  const int64_t urgency = rng.between(-2, 2);
  const size_t tag = watcher.copies.size();
  watcher.copies.push_back({CopyId{}, bytes, ready, {}, {}, urgency});
  watcher.call([&] {
    watcher.copies[tag].id =
        watcher.engine.submit({EndpointId(rng.below(2)), EndpointId{}, bytes, urgency, ready, tag});
  });
}

void disturb(Watcher& watcher, Rng& rng) {
  if (watcher.copies.empty()) return;
  Watcher::Known& copy = watcher.copies[rng.below(watcher.copies.size())];
  CopyEngine& engine = watcher.engine;
  if (copy.over) return;
  EXPECT_EQ(engine.left(copy.id), copy.bytes - copy.arrived);
  switch (rng.below(3)) {
    case 0:
      copy.ready = Bytes{rng.between(copy.ready.count, copy.bytes.count)};
      return watcher.call([&] { engine.feed(copy.id, copy.ready); });
    case 1:
      copy.urgency = rng.between(-2, 2);
      return watcher.call([&] { engine.set_urgency(copy.id, copy.urgency); });
    default:
      watcher.call([&] {
        copy.over = engine.cancel(copy.id);
        EXPECT_EQ(copy.over, !copy.begun);
        if (copy.over) copy.bytes = {};
      });
  }
}

void retry(Watcher& watcher) {
  for (Watcher::Known& copy : watcher.copies) copy.refused = false;
  watcher.call([&] { watcher.engine.retry(); });
}

void act(Watcher& watcher, Rng& rng) {
  const uint64_t kind = rng.below(10);
  if (kind < 4) return submit(watcher, rng);
  if (kind < 8) return disturb(watcher, rng);
  if (kind == 8) {
    watcher.admits_all = rng.below(2) == 0;
    return retry(watcher);
  }
  watcher.slowdown = rng.below(2) == 0 ? 1 : 1 + rng.uniform();
  watcher.call([&] { watcher.engine.set_slowdown(watcher.slowdown); });
}

void let_all_end(Watcher& watcher) {
  watcher.admits_all = true;
  for (Watcher::Known& copy : watcher.copies) {
    if (copy.over) continue;
    copy.ready = copy.bytes;
    watcher.call([&] { watcher.engine.feed(copy.id, copy.ready); });
  }
  retry(watcher);
}

TEST(EveryCopyEngine, SendsTheMostUrgentChunkNextAndEachByteOnce) {
  for_each_seed(300, [](Rng& rng) {
    const Bytes chunk{rng.below(4) == 0 ? rng.between(500, 5'000) : rng.between(50'000, 600'000)};
    Watcher watcher({chunk, Duration{rng.between(0, 1) * rng.between(0, 5'000'000)},
                     Duration{rng.between(0, 1) * rng.between(0, 1'000'000)}});
    Duration time;
    for (int number = 0; number < 60; ++number) {
      time += Duration{rng.between(0, 1) * rng.between(0, 40'000'000)};
      watcher.script.at(time, [&] { act(watcher, rng); });
    }
    watcher.script.at(time, [&] { let_all_end(watcher); });
    watcher.sim.run();

    Bytes submitted;  // but for what was cancelled
    for (const Watcher::Known& copy : watcher.copies) {
      EXPECT_TRUE(copy.over);
      submitted += copy.bytes;
    }
    EXPECT_EQ(watcher.carried, submitted);
    EXPECT_EQ(watcher.engine.carried(), submitted);
    EXPECT_EQ(watcher.executor.bytes_delivered(), submitted);
    EXPECT_EQ(watcher.executor.bytes_sent(), submitted);
    EXPECT_EQ(watcher.engine.busy(), watcher.busy);
  });
}

// Chunks follow each other without a pause: the first pays the latency, and the last ends when their times are summed.
TEST(EveryCopyEngine, IsAsLongBusyAsItsChunksTakeTogether) {
  for_each_seed(100, [](Rng& rng) {
    Watcher watcher({Bytes{rng.between(1'000, 100'000)}, 3_us, 1_us});
    watcher.admits_all = true;
    for (int number = 0; number < 10; ++number) submit(watcher, rng);
    let_all_end(watcher);
    watcher.sim.run();
    EXPECT_EQ(watcher.engine.busy(), watcher.finished - Time{});
    EXPECT_EQ(watcher.engine.busy(), watcher.busy);
  });
}

}  // namespace
}  // namespace moesim
