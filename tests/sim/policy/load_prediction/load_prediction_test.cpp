#include "sim/moe/load_prediction.h"

#include <gtest/gtest.h>

#include "sim/config/reader.h"

namespace moesim {
namespace {

using Choice = PolicyChoice<LoadPredictionPolicy>;

Choice chosen(const char* json) {
  Choice choice;
  std::vector<Fault> faults;
  choice.read(parse_json(json, "a.json"), Place{}, faults);
  throw_if_any("a.json", faults);
  return choice;
}

// The prediction after the last of these steps of one layer.
std::vector<int64_t> after(const Choice& choice, const std::vector<std::vector<int64_t>>& steps) {
  Rng rng(1);
  LoadHistory history;
  ExpertLoads prediction;
  for (const std::vector<int64_t>& step : steps) prediction = choice.step(history, {step}, rng);
  return prediction.at(0);
}

// Whatever the scale, the proportions of a load that does not change are predicted exactly.
TEST(EveryLoadPrediction, PredictsALoadThatDoesNotChange) {
  for (const auto& entry : Registry<LoadPredictionPolicy>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    Rng rng(1);
    LoadHistory history;
    for (int step = 0; step < 20; ++step) {
      const ExpertLoads loads{{3, 0, 12}, {5, 5, 1}};
      const ExpertLoads prediction = entry.step(history, loads, entry.default_options(), rng);
      ASSERT_EQ(prediction.size(), 2u);
      for (size_t layer = 0; layer < 2; ++layer)
        for (size_t a = 0; a < 3; ++a)
          for (size_t b = 0; b < 3; ++b)
            EXPECT_EQ(prediction[layer][a] * loads[layer][b], prediction[layer][b] * loads[layer][a]);
    }
  }
}

// A copy of the state goes on as the state itself would.
TEST(EveryLoadPrediction, RemembersInItsStateAlone) {
  for (const auto& entry : Registry<LoadPredictionPolicy>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    Rng rng(1);
    LoadHistory history;
    entry.step(history, {{7, 1}}, entry.default_options(), rng);
    LoadHistory copy = history;
    const ExpertLoads first = entry.step(history, {{2, 6}}, entry.default_options(), rng);
    EXPECT_EQ(entry.step(copy, {{2, 6}}, entry.default_options(), rng), first);
  }
}

TEST(LastLoad, ForgetsWhatWasBefore) {
  EXPECT_EQ(after(chosen(R"("last")"), {{9, 0}, {1, 2}}), (std::vector<int64_t>{1, 2}));
}

// Three steps in a window of two: 2 + 4 and 6 + 0; in a window of five, all of them.
TEST(MovingAverage, IsTheSumOfItsWindow) {
  const std::vector<std::vector<int64_t>> steps = {{100, 0}, {2, 6}, {4, 0}};
  EXPECT_EQ(after(chosen(R"({"policy": "moving_average", "window": 2})"), steps), (std::vector<int64_t>{6, 6}));
  EXPECT_EQ(after(chosen(R"("moving_average")"), steps), (std::vector<int64_t>{106, 6}));
}

// Half of the weight: 8, then (8 + 0) / 2 = 4, then (4 + 8) / 2 = 6; in units of 1/1024.
TEST(ExponentialAverage, HalvesWhatIsPast) {
  EXPECT_EQ(after(chosen(R"({"policy": "exponential", "weight": 0.5})"), {{8}, {0}, {8}}),
            (std::vector<int64_t>{6 * 1024}));
}

// Two layers, three tokens of top-2 with one choice that reaches no expert.
TEST(LoadsOf, CountsChoicesThatReachAnExpert) {
  const StepRouting routing{.tokens = 3,
                            .layers = 2,
                            .experts = 4,
                            .top_k = 2,
                            .ids = {0, 1, 0, 2, 0, kNoExpert, 3, 2, 3, 2, 3, 1},
                            .counts = {},
                            .first_token = {0, 3}};
  EXPECT_EQ(loads_of(routing), (ExpertLoads{{3, 1, 1, 0}, {0, 1, 2, 3}}));
}

// Two GPUs, three experts, one layer.
TEST(LoadsOf, AddsUpCountsOfAllGpusWhereTokensAreNotKnown) {
  const StepRouting routing{.tokens = 9,
                            .layers = 1,
                            .experts = 3,
                            .top_k = 1,
                            .ids = {},
                            .counts = {{1, 2, 3, 0, 0, 3}},
                            .first_token = {0, 6, 9}};
  EXPECT_EQ(loads_of(routing), (ExpertLoads{{1, 2, 6}}));
}

}  // namespace
}  // namespace moesim
