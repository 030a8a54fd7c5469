#include "sim/work/paced_server.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tests/support/random_network.h"
#include "tests/support/script.h"

namespace moesim {
namespace {

struct Served {
  struct End {
    uint64_t job = 0;
    Time at;
    friend bool operator==(const End&, const End&) = default;
  };

  void done(uint64_t job) {
    ends.push_back({job, sim.now()});
    if (also) also();
  }

  Simulator sim;
  Script script{sim};
  PacedServer server{sim, {this, [](void* self, uint64_t job) { static_cast<Served*>(self)->done(job); }}};
  std::vector<End> ends;
  std::function<void()> also;  // called at each end
};

using Ends = std::vector<Served::End>;

TEST(PacedServer, DoesJobsOneAfterAnother) {
  Served served;
  served.server.submit(7, 2_us);
  served.server.submit(8, 3_us);
  EXPECT_EQ(served.server.backlog(), 5_us);
  EXPECT_TRUE(served.ends.empty());
  served.sim.run();
  EXPECT_EQ(served.ends, (Ends{{7, Time{} + 2_us}, {8, Time{} + 5_us}}));
  EXPECT_TRUE(served.server.idle());
}

// Of 10 us of work, 4 are done at pace 1 by 4 us; 2 more at half the pace by 8 us; the last 4 at twice the pace by 10
// us.
TEST(PacedServer, ChangesThePaceOfTheJobThatRuns) {
  Served served;
  served.server.submit(0, 10_us);
  served.script.at(4_us, [&] {
    served.server.set_pace(0.5);
    EXPECT_EQ(served.server.backlog(), 12_us);
  });
  served.script.at(8_us, [&] {
    served.server.set_pace(2);
    EXPECT_EQ(served.server.backlog(), 2_us);
  });
  served.sim.run();
  EXPECT_EQ(served.ends, (Ends{{0, Time{} + 10_us}}));
}

// At a quarter of the pace from 4 us on, the 6 us left take 24 us.
TEST(PacedServer, AJobThatSlowsDownEndsLater) {
  Served served;
  served.server.submit(0, 10_us);
  served.script.at(4_us, [&] { served.server.set_pace(0.25); });
  served.sim.run();
  EXPECT_EQ(served.ends, (Ends{{0, Time{} + 28_us}}));
}

// Busy from 0 to 4 us (2 us at half the pace) and from 10 us on.
TEST(PacedServer, CountsTheTimeInWhichItHadAJob) {
  Served served;
  served.server.set_pace(0.5);
  served.server.submit(0, 2_us);
  served.script.at(3_us, [&] { EXPECT_EQ(served.server.busy(), 3_us); });
  served.script.at(7_us, [&] {
    EXPECT_EQ(served.server.busy(), 4_us);
    EXPECT_TRUE(served.server.idle());
    EXPECT_EQ(served.server.backlog(), Duration{});
  });
  served.script.at(10_us, [&] { served.server.submit(1, 1_us); });
  served.script.at(11_us, [&] { EXPECT_EQ(served.server.busy(), 5_us); });
  served.sim.run();
  EXPECT_EQ(served.ends, (Ends{{0, Time{} + 4_us}, {1, Time{} + 12_us}}));
  EXPECT_EQ(served.server.busy(), 6_us);
}

// Three jobs of 1 ps at pace 3 are done within one picosecond together, as their ends round up but not their work.
TEST(PacedServer, LosesNothingToTheRoundingOfEnds) {
  Served served;
  served.server.set_pace(3);
  for (uint64_t job = 0; job < 6; ++job) served.server.submit(job, 1_ps);
  served.sim.run();
  EXPECT_EQ(served.ends, (Ends{{0, Time{1}}, {1, Time{1}}, {2, Time{1}}, {3, Time{2}}, {4, Time{2}}, {5, Time{2}}}));
}

TEST(PacedServer, AJobWithoutWorkEndsAtItsTurn) {
  Served served;
  served.server.submit(0, 0_us);
  EXPECT_TRUE(served.ends.empty());
  served.server.submit(1, 1_us);
  served.server.submit(2, 0_us);
  served.sim.run();
  EXPECT_EQ(served.ends, (Ends{{0, Time{}}, {1, Time{} + 1_us}, {2, Time{} + 1_us}}));
}

// What a server did, as the sum of the pace over the time in which it had a job.
struct WorkAccount {
  void count(Time now) {
    worked += double((now - since).ps) * pace;
    since = now;
  }
  double worked = 0;  // in picoseconds at pace 1
  double pace = 1;
  Time since;
};

void act_at_random(Rng& rng, Served& served, WorkAccount& account, std::vector<Duration>& lengths) {
  Duration time;
  for (int act = 0; act < 60; ++act) {
    time += Duration{rng.between(0, 1) * rng.between(0, 2'000'000)};
    const double pace = rng.uniform() < 0.2 ? 1 : 0.1 + 2 * rng.uniform();
    const Duration length{rng.between(0, 1) * rng.between(0, rng.uniform() < 0.2 ? 5 : 3'000'000)};
    if (rng.uniform() < 0.5)
      served.script.at(time, [&, pace] {
        if (!served.server.idle()) account.count(served.sim.now());
        served.server.set_pace(account.pace = pace);
      });
    else
      served.script.at(time, [&, length] {
        if (served.server.idle()) account.since = served.sim.now();
        served.server.submit(lengths.size(), length);
        lengths.push_back(length);
      });
  }
}

// Jobs end in order, and by the end of each the server has done its work and that of those before it, up to the one
// picosecond by which ends round up.
TEST(PacedServer, ConservesWork) {
  for_each_seed(300, [](Rng& rng) {
    Served served;
    WorkAccount account;
    std::vector<Duration> lengths;
    act_at_random(rng, served, account, lengths);
    Duration ended;
    served.also = [&] {
      const size_t job = served.ends.size() - 1;
      EXPECT_EQ(served.ends[job].job, job);
      ended += lengths[job];
      account.count(served.sim.now());
      EXPECT_GE(account.worked, double(ended.ps) - 1e-3);
      EXPECT_LE(account.worked, double(ended.ps) + account.pace + 1e-3);
      if (served.server.idle()) account.worked = double(ended.ps);
    };
    served.sim.run();
    EXPECT_EQ(served.ends.size(), lengths.size());
    EXPECT_TRUE(served.server.idle());
  });
}

}  // namespace
}  // namespace moesim
