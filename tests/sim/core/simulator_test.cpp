#include "sim/core/simulator.h"

#include <gtest/gtest.h>

#include <string>

namespace moesim {
namespace {

// Writes down what happens to it.
struct Recorder {
  explicit Recorder(Simulator& simulator) : sim(simulator) {}
  void event(uint64_t id) { log += std::to_string(id) + "@" + std::to_string(sim.now().ps) + " "; }
  void settle() { log += "settle@" + std::to_string(sim.now().ps) + " "; }
  void event_and_settle(uint64_t id) {
    event(id);
    sim.settle<&Recorder::settle>(*this);
  }
  void settle_then_push() {
    settle();
    if (pushes-- > 0) sim.at<&Recorder::event_and_settle>(sim.now(), *this, 9);
  }
  void start_pushing() { sim.settle<&Recorder::settle_then_push>(*this); }
  void settle_forever() { sim.settle<&Recorder::settle_forever>(*this); }

  Simulator& sim;
  std::string log;
  int pushes = 1;
};

TEST(Simulator, RunsEventsInOrderOfTimeThenOfPosting) {
  Simulator sim;
  Recorder recorder(sim);
  sim.at<&Recorder::event>(Time{20}, recorder, 1);
  sim.at<&Recorder::event>(Time{10}, recorder, 2);
  sim.at<&Recorder::event>(Time{20}, recorder, 3);
  sim.at<&Recorder::event>(Time{0}, recorder, 4);
  EXPECT_TRUE(sim.run());
  EXPECT_EQ(recorder.log, "4@0 2@10 1@20 3@20 ");
  EXPECT_EQ(sim.events(), 4u);
}

TEST(Simulator, SettlesOnceNothingIsLeftAtTheInstant) {
  Simulator sim;
  Recorder recorder(sim);
  sim.at<&Recorder::event_and_settle>(Time{5}, recorder, 1);
  sim.at<&Recorder::event>(Time{5}, recorder, 2);
  sim.at<&Recorder::event>(Time{6}, recorder, 3);
  sim.run();
  EXPECT_EQ(recorder.log, "1@5 2@5 settle@5 3@6 ");
}

TEST(Simulator, SettlesAgainUntilTheInstantIsQuiet) {
  Simulator sim;
  Recorder recorder(sim);
  sim.at<&Recorder::start_pushing>(Time{7}, recorder);
  sim.at<&Recorder::event>(Time{8}, recorder, 1);
  sim.run();
  EXPECT_EQ(recorder.log, "settle@7 9@7 settle@7 1@8 ");
}

TEST(Simulator, TurnsAnEndlessSettleIntoAnError) {
  Simulator sim;
  Recorder recorder(sim);
  sim.at<&Recorder::settle_forever>(Time{1}, recorder);
  EXPECT_THROW(sim.run(), InternalError);
}

struct Halter {
  void halt() { sim.halt(); }
  Simulator& sim;
};

// What is pending when it halts stays pending, and the instant is finished first.
TEST(Simulator, HaltsAfterTheInstantAndGoesOnWithTheNextRun) {
  Simulator sim;
  Recorder recorder(sim);
  Halter halter{sim};
  sim.at<&Halter::halt>(Time{1}, halter);
  sim.at<&Recorder::event>(Time{1}, recorder, 1);
  sim.at<&Recorder::event>(Time{5}, recorder, 2);
  EXPECT_TRUE(sim.run());
  EXPECT_EQ(recorder.log, "1@1 ");
  EXPECT_EQ(sim.now(), Time{1});
  EXPECT_TRUE(sim.run());
  EXPECT_EQ(recorder.log, "1@1 2@5 ");
}

TEST(Simulator, StopsBetweenInstantsWhenAsked) {
  Simulator sim;
  Recorder recorder(sim);
  sim.at<&Recorder::event>(Time{1}, recorder, 1);
  const std::atomic<bool> stop = true;
  EXPECT_FALSE(sim.run(&stop));
  EXPECT_EQ(recorder.log, "");
  EXPECT_TRUE(sim.run());
  EXPECT_EQ(recorder.log, "1@1 ");
}

}  // namespace
}  // namespace moesim
