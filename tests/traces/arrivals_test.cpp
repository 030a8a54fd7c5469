#include "traces/arrivals.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <cstring>

#include "tests/traces/trace_cases.h"
#include "traces/arrival_statistics.h"

namespace moesim {
namespace {

constexpr const char* kAzure =
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    "2023-12-31 23:59:59.5000000,4808,10\r\n"
    "2024-01-01 00:00:00.2500000,110,27\n"
    "2024-01-01 00:00:00,3180,8";

// In order of time: 0.5 s and 0.75 s after the first, over the end of a year.
TEST(Arrivals, OfAzureAreReadInOrderFromTheFirstOn) {
  const std::vector<TimedRequest> requests = parse_arrivals(kAzure, "azure");
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].arrival.ps, 0);
  EXPECT_EQ(requests[1].arrival.ps, 500'000'000'000);
  EXPECT_EQ(requests[1].prompt_tokens, 3180);
  EXPECT_EQ(requests[2].arrival.ps, 750'000'000'000);
  EXPECT_EQ(requests[2].output_tokens, 27);
}

// 2024 is a leap year: 29 February lies between.
TEST(Arrivals, OfAzureKnowTheCalendar) {
  const std::vector<TimedRequest> requests = parse_arrivals(
      "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-02-28 12:00:00,1,1\n2024-03-01 12:00:00,1,1\n", "azure");
  EXPECT_EQ(requests[1].arrival.ps, int64_t{2} * 86400 * 1'000'000'000'000);
}

// The second request shares its first block of 512 with the first one; its last block is shared too, but lies behind a
// new one, so a prefix cache does not have it.
TEST(Arrivals, OfMooncakeCountTheLeadingBlocksSeenBefore) {
  const std::vector<TimedRequest> requests = parse_arrivals(
      "{\"timestamp\": 10, \"input_length\": 1024, \"output_length\": 5, \"hash_ids\": [0, 1]}\n"
      "{\"timestamp\": 27, \"input_length\": 1200, \"output_length\": 6, \"hash_ids\": [0, 2, 1]}\n",
      "mooncake");
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[1].arrival.ps, 17'000'000'000);
  EXPECT_EQ(requests[0].cached_prompt, 0);
  EXPECT_EQ(requests[1].cached_prompt, 512);
}

TEST(Arrivals, AreReadFromGzippedAndPlainFilesAlike) {
  const TemporaryPath plain("azure.csv");
  const TemporaryPath packed("azure.csv.gz");
  write_bytes(plain.path, kAzure);
  const gzFile file = gzopen(packed.path.c_str(), "wb");
  gzwrite(file, kAzure, unsigned(std::strlen(kAzure)));
  gzclose(file);
  EXPECT_EQ(arrivals_csv(read_arrivals(packed.path)), arrivals_csv(read_arrivals(plain.path)));
  const std::string bytes = bytes_of_file(packed.path);
  write_bytes(packed.path, bytes.substr(0, bytes.size() - 12));
  EXPECT_TRUE(says(error_of([&] { read_arrivals(packed.path); }), "no whole gzip file"));
}

TEST(Arrivals, WithWrongLinesAreRefusedWithEachOfThem) {
  const std::string error = error_of([] {
    parse_arrivals("TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,1\n2024-02-28 12:00:00,-1,1\n", "azure");
  });
  EXPECT_TRUE(says(error, "line 2"));
  EXPECT_TRUE(says(error, "line 3"));
  EXPECT_TRUE(says(error_of([] { parse_arrivals("{\"timestamp\": 1.5}\n", "x"); }), "whole \"timestamp\""));
  EXPECT_TRUE(says(error_of([] { parse_arrivals("a,b\n", "x"); }), "begins neither"));
  EXPECT_TRUE(says(error_of([] { parse_arrivals("TIMESTAMP,ContextTokens,GeneratedTokens\n", "x"); }), "no request"));
  EXPECT_TRUE(says(error_of([] { read_arrivals("/nonexistent/file"); }), "cannot be read"));
}

// Gaps of 1, 1 and 4 s: mean 2, variance (1 + 1 + 4) / 3 = 2, so deviation / mean is sqrt(2) / 2.
TEST(Arrivals, StatisticsAreThoseOfTheGaps) {
  std::vector<TimedRequest> requests;
  for (const int64_t second : {0, 1, 2, 6})
    requests.push_back({Time{second * 1'000'000'000'000}, 10 * (second + 1), 1, 0, 0, 0});
  const ArrivalStatistics s = arrival_statistics(requests);
  EXPECT_DOUBLE_EQ(s.rate, 0.5);
  EXPECT_NEAR(s.gap_variation, std::sqrt(0.5), 1e-12);
  EXPECT_DOUBLE_EQ(s.prompt.mean, 32.5);
  EXPECT_EQ(s.prompt.median, 20);
  EXPECT_EQ(s.prompt.p99, 70);
  EXPECT_EQ(arrivals_csv(requests).substr(0, 78),
            "arrival_s,prompt_tokens,output_tokens,domain,document\n0.000000000000,10,1,0,0\n");
}

ArrivalStatistics statistics_of(const ArrivalOptions& options, int64_t count) {
  ArrivalClock clock(options, Rng(7));
  std::vector<TimedRequest> requests;
  for (int64_t i = 0; i < count; ++i) {
    TimedRequest request;
    request.arrival = Time{} + duration_of_seconds(clock.next_s());
    requests.push_back(request);
  }
  return arrival_statistics(requests);
}

// 40,000 gaps: the mean of Poisson's is known to 0.5 %, its variation to about 0.5 %.
TEST(ArrivalProcess, PoissonHasItsRateAndVariationOne) {
  const ArrivalStatistics s = statistics_of({.process = ArrivalProcess::poisson, .rate = 20}, 40'000);
  EXPECT_NEAR(s.rate, 20, 0.4);
  EXPECT_NEAR(s.gap_variation, 1, 0.025);
  EXPECT_NEAR(s.minute_dispersion, 1, 0.8);  // of 33 minutes: deviation sqrt(2 / 32) = 0.25
}

TEST(ArrivalProcess, GammaHasItsRateAndVariation) {
  for (const double variation : {0.5, 1.0, 2.0}) {
    const ArrivalStatistics s =
        statistics_of({.process = ArrivalProcess::gamma, .rate = 5, .variation = variation}, 60'000);
    EXPECT_NEAR(s.rate, 5, 5 * 0.02 * std::max(1.0, variation)) << variation;
    EXPECT_NEAR(s.gap_variation, variation, 0.05 * variation) << variation;
  }
}

// With bursts at 4 times the mean rate in a tenth of the time, a random moment's rate has the variance 0.1 * 9 + 0.9 *
// (1/3)^2 = 1 of the squared mean. Over windows much longer than a burst counts are dispersed by 1 + 2 * rate *
// variance
// * relaxation, whose time is 10 s * 0.9 = 9 s: 1 + 2 * 10 * 9 = 181 at 10 a second; a minute holds 1 - (1 - e^-6.67) /
// 6.67 = 85 % of it: 154.
TEST(ArrivalProcess, MarkovHasItsRateAndTheDispersionOfItsBursts) {
  const ArrivalStatistics s = statistics_of({.process = ArrivalProcess::markov, .rate = 10}, 1'000'000);
  EXPECT_NEAR(s.rate, 10, 0.5);
  EXPECT_NEAR(s.minute_dispersion, 154, 25);
  EXPECT_GT(s.gap_variation, 1.1);
}

// A day of 4 parts with rates 1 : 2 : 3 : 2 has a mean of 2; 100 days of 80 s at 10 a second.
TEST(ArrivalProcess, DiurnalFollowsItsProfile) {
  ArrivalOptions options{.process = ArrivalProcess::diurnal, .rate = 10, .period_s = 80, .profile = {1, 2, 3, 2}};
  ArrivalClock clock(options, Rng(3));
  std::vector<double> counts(4, 0);
  double last = 0;
  for (int i = 0; i < 80'000; ++i) {
    const double at = clock.next_s();
    ASSERT_GE(at, last);
    last = at;
    ++counts[size_t(std::fmod(at, 80.0) / 20.0)];
  }
  EXPECT_NEAR(last, 8000, 8000 * 0.015);
  for (size_t part = 0; part < 4; ++part)
    EXPECT_NEAR(counts[part], 10'000 * options.profile[part], 10'000 * options.profile[part] * 0.05) << part;
}

TEST(ArrivalProcess, ThatCannotBeIsRefused) {
  std::vector<std::string> faults;
  const auto note = [&](const std::string& key, const std::string&) { faults.push_back(key); };
  check_fields(ArrivalOptions{.process = ArrivalProcess::markov, .burst_rate = 20, .burst_share = 0.1}, note);
  check_fields(ArrivalOptions{.process = ArrivalProcess::diurnal, .profile = {0, 0}}, note);
  check_fields(ArrivalOptions{}, note);
  EXPECT_EQ(faults, (std::vector<std::string>{"burst_rate", "profile"}));
}

TEST(RequestLengths, FitsFindTheLawThatDrewThem) {
  const LengthLaw law{6, 0.8, 4, 1.1, 0.5};
  Rng rng(5);
  std::vector<TimedRequest> requests(40'000);
  for (TimedRequest& request : requests) {
    const RequestLengths lengths = draw_lengths(law, rng);
    request.prompt_tokens = lengths.prompt_tokens;
    request.output_tokens = lengths.output_tokens;
  }
  const LengthLaw found = fit_lengths(requests);
  EXPECT_NEAR(found.prompt_mu, 6, 0.02);
  EXPECT_NEAR(found.prompt_sigma, 0.8, 0.02);
  EXPECT_NEAR(found.output_mu, 4, 0.03);
  EXPECT_NEAR(found.output_sigma, 1.1, 0.04);  // rounding to whole tokens, and 1 at least
  EXPECT_NEAR(found.correlation, 0.5, 0.02);
}

TEST(RequestLengths, FromAFileKeepPromptAndOutputTogether) {
  const std::vector<TimedRequest> requests{{{}, 100, 1}, {{}, 200, 2}};
  Rng rng(1);
  for (int i = 0; i < 50; ++i) {
    const RequestLengths lengths = draw_lengths(requests, rng);
    EXPECT_EQ(lengths.prompt_tokens, 100 * lengths.output_tokens);
  }
}

}  // namespace
}  // namespace moesim
