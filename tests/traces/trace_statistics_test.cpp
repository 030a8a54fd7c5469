#include "traces/trace_statistics.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/config/json_text.h"
#include "tests/traces/trace_cases.h"
#include "traces/distribution_fits.h"
#include "traces/hdf5_file.h"
#include "traces/synthetic.h"
#include "traces/trace_text.h"

namespace moesim {
namespace {

constexpr const char* kSample = MOESIM_SOURCE_DIR "/traces/samples/moe64k8-sample.h5";

// All that the expected value says; the other may say more.
void expect_says(const nlohmann::json& given, const nlohmann::json& expected, const std::string& place) {
  if (expected.is_object()) {
    for (const auto& [key, value] : expected.items()) {
      ASSERT_TRUE(given.contains(key)) << place << "/" << key;
      expect_says(given[key], value, place + "/" + key);
    }
  } else if (expected.is_array()) {
    ASSERT_EQ(given.size(), expected.size()) << place;
    for (size_t i = 0; i < expected.size(); ++i) expect_says(given[i], expected[i], place + "/" + std::to_string(i));
  } else if (expected.is_number()) {
    EXPECT_NEAR(given.get<double>(), expected.get<double>(), 1e-9 * std::max(1.0, expected.get<double>())) << place;
  } else {
    EXPECT_EQ(given, expected) << place;
  }
}

// scripts/trace_statistics.py has computed the file with numpy.
TEST(TraceStatistics, OfTheSampleAreThoseOfNumpy) {
  TraceInput input(kSample);
  std::ifstream golden(MOESIM_SOURCE_DIR "/tests/golden/traces/sample_statistics.json");
  expect_says(nlohmann::json::parse(json_text(trace_statistics(input, Depth::full))), nlohmann::json::parse(golden),
              "");
}

// What was found of the whole recording, of which the sample is 72 %, with other programs: mutual information 1.0 to
// 1.8 bit; a table by token id is right at 65 % in layer 0, 27 % in layer 7 and 17 % in layer 14; the hottest expert
// has 3.2 times the mean in layer 0. Of the sample the table learns from 40 documents instead of 56, and knows less.
TEST(TraceStatistics, OfTheSampleAreNearWhatIsKnownOfTheWholeRecording) {
  TraceInput input(kSample);
  const TraceStatistics s = trace_statistics(input, Depth::full);
  EXPECT_NEAR(s.by_layer[0].max_over_mean, 3.2, 0.1);
  for (const auto& [layer, whole] : {std::pair<size_t, double>(0, 0.65), {7, 0.27}, {14, 0.17}}) {
    EXPECT_LT(s.by_layer[layer].token_table->accuracy, whole + 0.01) << layer;
    EXPECT_GT(s.by_layer[layer].token_table->accuracy, whole - 0.05) << layer;
  }
  for (size_t layer = 0; layer < 15; ++layer) {
    EXPECT_GT(s.by_layer[layer].to_next->mutual_information_bits, 0.95) << layer;
    EXPECT_LT(s.by_layer[layer].to_next->mutual_information_bits, 1.85) << layer;
  }
  EXPECT_FALSE(s.by_layer[15].to_next);
}

// Loads r^-2 x 144: 144, 36, 16, 9 follow Zipf's law of exponent 2 exactly.
TEST(LoadFits, FindTheLawThatALoadWasMadeOf) {
  const LoadFits zipf = fit_load(std::vector<int64_t>{16, 144, 9, 36});
  EXPECT_NEAR(zipf.zipf_exponent, 2, 1e-12);
  EXPECT_NEAR(zipf.zipf_error, 0, 1e-12);
  std::vector<int64_t> log_normal;
  for (int i = 0; i < 64; ++i) log_normal.push_back(int64_t(1e9 * std::exp(0.5 * normal_quantile((i + 0.5) / 64))));
  EXPECT_NEAR(fit_load(log_normal).log_normal_sigma, 0.5, 0.01);  // the quantiles' own deviation is a little below 1
  EXPECT_LT(fit_load(log_normal).log_normal_error, 0.01);
  EXPECT_EQ(fit_load(std::vector<int64_t>{0, 0}).zipf_exponent, 0);
}

// Tables of the normal law: 97.5 % at 1.959964, 99.9 % at 3.090232.
TEST(LoadFits, KnowTheNormalLaw) {
  EXPECT_NEAR(normal_quantile(0.975), 1.959964, 1e-6);
  EXPECT_NEAR(normal_quantile(0.001), -3.090232, 1e-6);
  EXPECT_EQ(normal_quantile(0.5), 0);
}

// Requests 0 and 1 teach, 2 and 3 test. Id 5 went to expert 1 twice and to 0 once; id 6 was never seen, so expert 1,
// the most frequent first choice, is predicted. Tested: 5 -> 1 right, 5 -> 0 wrong, 6 -> 1 right, 6 -> 3 wrong.
TEST(TokenTable, LearnsTheFirstHalfOfTheRequestsAndIsTestedOnTheRest) {
  RoutingTrace trace = empty_trace(8, 1, 1, 4);
  trace.ids = {1, 1, 0, 1, 1, 0, 1, 3};
  trace.token = {5, 5, 5, 7, 5, 5, 6, 6};
  trace.request = {0, 0, 1, 1, 2, 2, 3, 3};
  TraceInput input(trace, "trace");
  const TraceStatistics s = trace_statistics(input, Depth::full);
  EXPECT_EQ(s.requests, 4);
  EXPECT_EQ(s.by_layer[0].token_table->tested, 4);
  EXPECT_EQ(s.by_layer[0].token_table->accuracy, 0.5);
  EXPECT_EQ(s.tested_ids_seen, 0.5);
}

// Two experts share the first half of the trace and two others the second: within a half nothing drifts, and all of
// the load moves once in nine steps.
TEST(Drift, IsTheLoadThatChangesExperts) {
  RoutingTrace trace = empty_trace(40, 1, 2, 4);
  for (size_t i = 0; i < 80; ++i) trace.ids[i] = uint16_t(i % 2 + (i < 40 ? 0 : 2));
  TraceInput input(trace, "trace");
  const DriftStatistics drift = trace_statistics(input, Depth::full).by_layer[0].drift;
  EXPECT_NEAR(drift.neighbours, 1.0 / 9, 1e-12);
  EXPECT_EQ(drift.ends, 1);
}

TEST(TraceStatistics, AreTheSameFromAFileAndFromMemory) {
  const TemporaryPath file("statistics.h5");
  Rng rng(5);
  const RoutingTrace trace = random_trace(rng, 8, true);
  write_hdf5_trace(trace, file.path);
  TraceInput from_file(file.path);
  TraceInput from_memory(trace, "trace");
  EXPECT_EQ(json_text(trace_statistics(from_file, Depth::full)), json_text(trace_statistics(from_memory, Depth::full)));
}

}  // namespace
}  // namespace moesim
