#include "traces/trace_comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "sim/core/check.h"

namespace moesim {
namespace {

double share_elsewhere(std::span<const int64_t> a, std::span<const int64_t> b) {
  const double a_all = double(std::max<int64_t>(1, std::accumulate(a.begin(), a.end(), int64_t{0})));
  const double b_all = double(std::max<int64_t>(1, std::accumulate(b.begin(), b.end(), int64_t{0})));
  double apart = 0;
  for (size_t i = 0; i < a.size(); ++i) apart += std::abs(double(a[i]) / a_all - double(b[i]) / b_all);
  return std::min(1.0, apart / 2);
}

double relative(double a, double b) { return a == b ? 0 : std::abs(a - b) / std::max(std::abs(a), 1e-9); }

double largest_difference(const HitRates& a, const HitRates& b) {
  double largest = 0;
  for (size_t size = 0; size < std::min(a.size(), b.size()); ++size)
    largest = std::max(largest, std::abs(a[size] - b[size]));
  return largest;
}

double kept_choices(const RoutingTrace& trace) {
  int64_t kept = 0;
  int64_t choices_made = 0;
  for (int64_t token = 1; token < trace.tokens; ++token) {
    if (!trace.request.empty() && trace.request[size_t(token)] != trace.request[size_t(token - 1)]) continue;
    for (int64_t layer = 0; layer < trace.layers; ++layer) {
      const auto before = choices(trace, token - 1, layer);
      for (const uint16_t expert : choices(trace, token, layer)) {
        if (expert == kDropped) continue;
        ++choices_made;
        kept += std::count(before.begin(), before.end(), expert);
      }
    }
  }
  return choices_made == 0 ? 0 : double(kept) / double(choices_made);
}

void compare_layers(const TraceStatistics& a, const TraceStatistics& b, TraceDifference& difference) {
  double information_a = 0;
  double information_b = 0;
  for (size_t layer = 0; layer < a.by_layer.size(); ++layer) {
    const LayerStatistics& x = a.by_layer[layer];
    const LayerStatistics& y = b.by_layer[layer];
    const double load = share_elsewhere(x.load, y.load);
    difference.load = std::max(difference.load, load);
    difference.load_mean += load / double(a.by_layer.size());
    difference.drift = std::max(difference.drift, std::abs(x.drift.neighbours - y.drift.neighbours));
    if (x.to_next && y.to_next) {
      information_a += x.to_next->mutual_information_bits;
      information_b += y.to_next->mutual_information_bits;
      difference.information = std::max(
          difference.information, relative(x.to_next->mutual_information_bits, y.to_next->mutual_information_bits));
    }
    if (x.token_table && y.token_table)
      difference.token_table =
          std::max(difference.token_table, std::abs(x.token_table->accuracy - y.token_table->accuracy));
  }
  difference.information_mean = relative(information_a, information_b);
}

void compare_domains(const TraceStatistics& a, const TraceStatistics& b, TraceDifference& difference) {
  std::map<int32_t, const DomainStatistics*> in_b;
  for (const DomainStatistics& domain : b.by_domain) in_b[domain.domain] = &domain;
  double kept = 0;
  int64_t compared = 0;
  for (const DomainStatistics& domain : a.by_domain) {
    const auto found = in_b.find(domain.domain);
    if (found == in_b.end()) continue;
    kept += std::min(double(domain.tokens) / double(a.tokens), double(found->second->tokens) / double(b.tokens));
    for (size_t layer = 0; layer < domain.max_over_mean.size(); ++layer) {
      difference.domain_skew += relative(domain.max_over_mean[layer], found->second->max_over_mean[layer]);
      ++compared;
    }
  }
  difference.domain_skew /= double(std::max<int64_t>(1, compared));
  difference.domains = a.by_domain.empty() ? 0 : std::clamp(1 - kept, 0.0, 1.0);
}

}  // namespace

TraceFingerprint trace_fingerprint(const RoutingTrace& trace) {
  TraceFingerprint fingerprint;
  fingerprint.lru_by_layer = lru_hit_rates_by_layer(trace);
  fingerprint.lru_of_all = lru_hit_rates(trace);
  fingerprint.kept_choices = kept_choices(trace);
  TraceInput input(trace, "trace");
  fingerprint.statistics = trace_statistics(input, Depth::full);
  return fingerprint;
}

TraceDifference trace_difference(const TraceFingerprint& a, const TraceFingerprint& b) {
  CHECK(a.statistics.layers == b.statistics.layers && a.statistics.experts == b.statistics.experts);
  TraceDifference difference;
  compare_layers(a.statistics, b.statistics, difference);
  compare_domains(a.statistics, b.statistics, difference);
  for (size_t layer = 0; layer < a.lru_by_layer.size(); ++layer)
    difference.lru_by_layer =
        std::max(difference.lru_by_layer, largest_difference(a.lru_by_layer[layer], b.lru_by_layer[layer]));
  difference.lru_of_all = largest_difference(a.lru_of_all, b.lru_of_all);
  difference.kept_choices = std::abs(a.kept_choices - b.kept_choices);
  return difference;
}

}  // namespace moesim
