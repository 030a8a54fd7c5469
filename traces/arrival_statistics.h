// What `moesim trace arrivals` says of a workload.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/config/fields.h"
#include "traces/request_lengths.h"

namespace moesim {

struct LengthStatistics {
  double mean = 0;
  int64_t min = 0;
  int64_t median = 0;
  int64_t p90 = 0;
  int64_t p99 = 0;
  int64_t max = 0;
};

template <class Visitor>
void fields(Visitor& v, LengthStatistics& s) {
  const auto tokens = at_least(int64_t{0});
  v.required("mean", s.mean, at_least(0.0), "tokens, mean");
  v.required("min", s.min, tokens, "fewest");
  v.required("median", s.median, tokens, "half of the requests have at most as many");
  v.required("p90", s.p90, tokens, "nine of ten requests have at most as many");
  v.required("p99", s.p99, tokens, "99 of 100 requests have at most as many");
  v.required("max", s.max, tokens, "most");
}

struct ArrivalStatistics {
  int64_t requests = 0;
  double span_s = 0;
  double rate = 0;
  double gap_variation = 0;
  double minute_dispersion = 0;
  LengthStatistics prompt;
  LengthStatistics output;
  LengthLaw law;
  double cached_prompt = 0;
};

template <class Visitor>
void fields(Visitor& v, ArrivalStatistics& s) {
  v.required("requests", s.requests, at_least(int64_t{0}), "requests");
  v.required("span_s", s.span_s, at_least(0.0), "from the first arrival to the last, s");
  v.required("rate", s.rate, at_least(0.0), "requests a second between the first and the last");
  v.required("gap_variation", s.gap_variation, at_least(0.0),
             "deviation of the time between arrivals over its mean; 1 for Poisson arrivals");
  v.required("minute_dispersion", s.minute_dispersion, at_least(0.0),
             "variance over mean of the requests in whole minutes; 1 for Poisson arrivals, 0 where there is no minute");
  v.required("prompt", s.prompt, "tokens of a prompt");
  v.required("output", s.output, "tokens of an output");
  v.required("law", s.law, "log-normal law fitted to the lengths");
  v.required("cached_prompt", s.cached_prompt, between(0.0, 1.0),
             "share of prompt tokens in leading blocks that an earlier request had too");
}

// Of at least one request, in the order of arrival.
ArrivalStatistics arrival_statistics(const std::vector<TimedRequest>& requests);

std::string arrival_text(const ArrivalStatistics& statistics);

// One line a request: arrival_s,prompt_tokens,output_tokens,domain,document.
std::string arrivals_csv(const std::vector<TimedRequest>& requests);

// The same as a list of objects, one a line.
std::string arrivals_json(const std::vector<TimedRequest>& requests);

}  // namespace moesim
