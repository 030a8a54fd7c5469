#include "sim/moe/rebalance.h"

#include <gtest/gtest.h>

#include <vector>

#include "sim/config/reader.h"

namespace moesim {
namespace {

using Choice = PolicyChoice<RebalancePolicy>;

Choice chosen(const char* json) {
  Choice choice;
  std::vector<Fault> faults;
  choice.read(parse_json(json, "a.json"), Place{}, faults);
  throw_if_any("a.json", faults);
  return choice;
}

// The steps, from 0, after which it rebalances.
std::vector<int> rebalances(const Choice& choice, const std::vector<RebalanceObservation>& seen) {
  Rng rng(1);
  RebalanceState state;
  std::vector<int> steps;
  for (size_t step = 0; step < seen.size(); ++step)
    if (choice.step(state, seen[step], rng)) steps.push_back(int(step));
  return steps;
}

TEST(EveryRebalancing, WaitsForWeightsThatAreOnTheirWay) {
  for (const auto& entry : Registry<RebalancePolicy>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    Rng rng(1);
    RebalanceState state;
    for (int step = 0; step < 1000; ++step)
      EXPECT_FALSE(entry.step(state, {100, true}, entry.default_options(), rng)) << step;
  }
}

TEST(NeverRebalancing, KeepsThePlacement) {
  EXPECT_TRUE(rebalances(chosen(R"("never")"), std::vector<RebalanceObservation>(100, {50, false})).empty());
}

TEST(EveryFewSteps, CountsFromTheLastRebalance) {
  std::vector<RebalanceObservation> seen(10);
  const Choice every_third = chosen(R"({"policy": "every", "steps": 3})");
  EXPECT_EQ(rebalances(every_third, seen), (std::vector<int>{2, 5, 8}));
  seen[5].migrating = seen[6].migrating = true;  // what was due after step 5 comes after step 7
  EXPECT_EQ(rebalances(every_third, seen), (std::vector<int>{2, 7}));
}

TEST(ThresholdRebalancing, WaitsForImbalanceAndForItsPause) {
  std::vector<RebalanceObservation> seen(12, {1.5, false});
  for (int step = 0; step < 4; ++step) seen[size_t(step)].predicted_max_over_mean = 1.3;  // the limit itself is met
  EXPECT_EQ(rebalances(chosen(R"({"policy": "threshold", "max_over_mean": 1.3, "pause": 3})"), seen),
            (std::vector<int>{4, 7, 10}));
}

}  // namespace
}  // namespace moesim
