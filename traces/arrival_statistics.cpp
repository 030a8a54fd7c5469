#include "traces/arrival_statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr int64_t kMinutePs = 60'000'000'000'000;

LengthStatistics length_statistics(const std::vector<TimedRequest>& requests, int64_t TimedRequest::* tokens) {
  std::vector<int64_t> sorted;
  double sum = 0;
  for (const TimedRequest& request : requests) {
    sorted.push_back(request.*tokens);
    sum += double(request.*tokens);
  }
  std::sort(sorted.begin(), sorted.end());
  const auto quantile = [&](int64_t percent) {
    const int64_t rank = (int64_t(sorted.size()) * percent + 99) / 100;
    return sorted[size_t(std::max<int64_t>(1, rank) - 1)];
  };
  return {sum / double(sorted.size()), sorted.front(), quantile(50), quantile(90), quantile(99), sorted.back()};
}

struct Spread {
  double mean = 0;
  double variance = 0;
};

Spread spread_of(const std::vector<double>& values) {
  Spread spread;
  for (const double value : values) spread.mean += value / double(values.size());
  for (const double value : values)
    spread.variance += (value - spread.mean) * (value - spread.mean) / double(values.size());
  return spread;
}

// Exact: picoseconds as seconds with twelve digits.
std::string seconds_text(Time time) {
  return fmt::format("{}.{:012}", time.ps / 1'000'000'000'000, time.ps % 1'000'000'000'000);
}

std::string length_line(const char* name, const LengthStatistics& s) {
  return fmt::format("{:<14} {:>10.1f} {:>8} {:>8} {:>8} {:>8} {:>8}\n", name, s.mean, s.min, s.median, s.p90, s.p99,
                     s.max);
}

}  // namespace

ArrivalStatistics arrival_statistics(const std::vector<TimedRequest>& requests) {
  CHECK(!requests.empty());
  ArrivalStatistics s;
  s.requests = int64_t(requests.size());
  const Time first = requests.front().arrival;
  s.span_s = (requests.back().arrival - first).seconds();
  std::vector<double> gaps;
  for (size_t i = 1; i < requests.size(); ++i)
    gaps.push_back((requests[i].arrival - requests[i - 1].arrival).seconds());
  if (s.span_s > 0) {
    s.rate = double(gaps.size()) / s.span_s;
    const Spread gap = spread_of(gaps);
    s.gap_variation = std::sqrt(gap.variance) / gap.mean;
  }
  std::vector<double> minutes(size_t((requests.back().arrival - first).ps / kMinutePs), 0);
  for (const TimedRequest& request : requests)
    if (const size_t minute = size_t((request.arrival - first).ps / kMinutePs); minute < minutes.size())
      ++minutes[minute];
  if (const Spread counts = spread_of(minutes); counts.mean > 0) s.minute_dispersion = counts.variance / counts.mean;
  s.prompt = length_statistics(requests, &TimedRequest::prompt_tokens);
  s.output = length_statistics(requests, &TimedRequest::output_tokens);
  s.law = fit_lengths(requests);
  double cached = 0;
  for (const TimedRequest& request : requests) cached += double(request.cached_prompt);
  if (s.prompt.mean > 0) s.cached_prompt = std::min(1.0, cached / (s.prompt.mean * double(s.requests)));
  return s;
}

std::string arrival_text(const ArrivalStatistics& s) {
  std::string text = fmt::format("{} requests in {:.1f} s: {:.3f} a second\n", s.requests, s.span_s, s.rate);
  text += fmt::format("time between arrivals: deviation / mean {:.2f}; requests a minute: variance / mean {:.2f}\n",
                      s.gap_variation, s.minute_dispersion);
  text += fmt::format("\n{:<14} {:>10} {:>8} {:>8} {:>8} {:>8} {:>8}\n", "tokens", "mean", "min", "median", "90 %",
                      "99 %", "max");
  text += length_line("prompt", s.prompt) + length_line("output", s.output);
  text += fmt::format(
      "\nlog-normal law: prompt mu {:.3f} sigma {:.3f}, output mu {:.3f} sigma {:.3f}, correlation {:.3f}\n",
      s.law.prompt_mu, s.law.prompt_sigma, s.law.output_mu, s.law.output_sigma, s.law.correlation);
  if (s.cached_prompt > 0)
    text += fmt::format("{:.1f} % of the prompt tokens are in leading blocks that an earlier request had too\n",
                        100 * s.cached_prompt);
  return text;
}

std::string arrivals_csv(const std::vector<TimedRequest>& requests) {
  std::string text = "arrival_s,prompt_tokens,output_tokens,domain,document\n";
  for (const TimedRequest& r : requests)
    fmt::format_to(std::back_inserter(text), "{},{},{},{},{}\n", seconds_text(r.arrival), r.prompt_tokens,
                   r.output_tokens, r.domain, r.document);
  return text;
}

std::string arrivals_json(const std::vector<TimedRequest>& requests) {
  std::string text = "[";
  for (const TimedRequest& r : requests)
    fmt::format_to(
        std::back_inserter(text),
        "{}{{\"arrival_s\": {}, \"prompt_tokens\": {}, \"output_tokens\": {}, \"domain\": {}, \"document\": {}}}",
        &r == requests.data() ? "\n" : ",\n", seconds_text(r.arrival), r.prompt_tokens, r.output_tokens, r.domain,
        r.document);
  return text + "\n]\n";
}

}  // namespace moesim
