#include "traces/trace_statistics.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <unordered_map>

#include "traces/distribution_fits.h"
#include "traces/statistics.h"
#include "traces/token_table.h"

namespace moesim {
namespace {

constexpr int64_t kWindows = 10;
constexpr int64_t kRanks = 8;
constexpr int64_t kPairCellsMax = int64_t{1} << 25;  // 256 MiB
constexpr int64_t kLoadCellsMax = int64_t{1} << 25;
constexpr double kPi = 3.14159265358979323846;

// [layer][expert], with one more cell a layer for kDropped.
using Loads = std::vector<int64_t>;

// What one walk counts.
struct Counts {
  std::array<Loads, size_t(kWindows)> windows;
  std::map<int32_t, std::pair<int64_t, Loads>> domains;  // tokens and loads
  bool too_many_domains = false;
  std::vector<std::vector<int64_t>> pairs;  // [layer][expert * experts + expert of the next]; empty where too many
};

void count_token(const RoutingTrace& block, int64_t token, Loads& loads) {
  const uint16_t none = uint16_t(block.experts);
  int64_t* cell = loads.data();
  const uint16_t* choice = token_row(block, token).data();
  for (int64_t layer = 0; layer < block.layers; ++layer, cell += block.experts + 1)
    for (int64_t k = 0; k < block.top_k; ++k) ++cell[std::min(*choice++, none)];
}

void count_pairs(const RoutingTrace& block, int64_t token, Counts& counts) {
  for (int64_t layer = 0; layer < int64_t(counts.pairs.size()); ++layer) {
    const uint16_t from = choices(block, token, layer)[0];
    const uint16_t to = choices(block, token, layer + 1)[0];
    if (from != kDropped && to != kDropped) ++counts.pairs[size_t(layer)][size_t(from) * size_t(block.experts) + to];
  }
}

void count_block(const RoutingTrace& block, int64_t first_token, int64_t tokens, Counts& counts) {
  const size_t cells = size_t(block.layers * (block.experts + 1));
  for (int64_t token = 0; token < block.tokens; ++token) {
    // Not (first + token) * 10 / tokens, which could overflow.
    const int64_t window = std::min(kWindows - 1, int64_t(double(first_token + token) / double(tokens) * kWindows));
    count_token(block, token, counts.windows[size_t(window)]);
    count_pairs(block, token, counts);
    if (block.domain.empty() || counts.too_many_domains) continue;
    auto& [domain_tokens, loads] = counts.domains[block.domain[size_t(token)]];
    if (loads.empty()) loads.resize(cells);
    ++domain_tokens;
    count_token(block, token, loads);
    counts.too_many_domains = int64_t(counts.domains.size() * cells) > kLoadCellsMax;
  }
}

std::vector<int64_t> load_of(const Loads& loads, int64_t layer, int64_t experts) {
  const auto begin = loads.begin() + layer * (experts + 1);
  return {begin, begin + experts};
}

// Half the sum of the differences of the shares.
double total_variation(std::span<const int64_t> a, std::span<const int64_t> b) {
  const double a_all = double(std::accumulate(a.begin(), a.end(), int64_t{0}));
  const double b_all = double(std::accumulate(b.begin(), b.end(), int64_t{0}));
  if (a_all == 0 || b_all == 0) return 0;
  double apart = 0;
  for (size_t i = 0; i < a.size(); ++i) apart += std::abs(double(a[i]) / a_all - double(b[i]) / b_all);
  return std::min(1.0, apart / 2);
}

// The mean absolute difference of two shares p of n independent choices each is sqrt(4 p (1 - p) / (pi n)).
double chance_variation(std::span<const int64_t> load) {
  const double all = double(std::accumulate(load.begin(), load.end(), int64_t{0}));
  if (all == 0) return 0;
  double apart = 0;
  for (const int64_t count : load) {
    const double share = double(count) / all;
    apart += std::sqrt(4 * share * (1 - share) / (kPi * all / double(kWindows)));
  }
  return apart / 2;
}

DriftStatistics drift_of(const Counts& counts, int64_t layer, std::span<const int64_t> load) {
  const int64_t experts = int64_t(load.size());
  DriftStatistics drift;
  for (size_t window = 0; window + 1 < size_t(kWindows); ++window)
    drift.neighbours += total_variation(load_of(counts.windows[window], layer, experts),
                                        load_of(counts.windows[window + 1], layer, experts)) /
                        double(kWindows - 1);
  drift.ends =
      total_variation(load_of(counts.windows.front(), layer, experts), load_of(counts.windows.back(), layer, experts));
  drift.chance = chance_variation(load);
  return drift;
}

LayerStatistics layer_statistics(const RoutingTrace& about, const Counts& counts, int64_t layer) {
  LayerStatistics result;
  result.layer = about.layer_numbers.empty() ? int32_t(layer) : about.layer_numbers[size_t(layer)];
  result.load.assign(size_t(about.experts), 0);
  for (const Loads& window : counts.windows) {
    const std::vector<int64_t> load = load_of(window, layer, about.experts);
    for (size_t expert = 0; expert < load.size(); ++expert) result.load[expert] += load[expert];
    result.dropped += window[size_t(layer * (about.experts + 1) + about.experts)];
  }
  result.max_over_mean = max_over_mean(result.load);
  if (about.experts % kRanks == 0) result.max_over_mean_ep8 = max_over_mean(contiguous_load(result.load, kRanks));
  result.gini = gini(result.load);
  result.entropy_bits = entropy_bits(result.load);
  const LoadFits fits = fit_load(result.load);
  result.zipf_exponent = fits.zipf_exponent;
  result.zipf_error = fits.zipf_error;
  result.log_normal_sigma = fits.log_normal_sigma;
  result.log_normal_error = fits.log_normal_error;
  if (size_t(layer) < counts.pairs.size()) {
    const Affinity affinity = affinity_of_pairs(counts.pairs[size_t(layer)], about.experts);
    result.to_next = {affinity.pairs, affinity.mutual_information_bits, affinity.concentration};
  }
  result.drift = drift_of(counts, layer, result.load);
  return result;
}

std::vector<DomainStatistics> domain_statistics(const RoutingTrace& about, const Counts& counts) {
  std::vector<DomainStatistics> domains;
  for (const auto& [number, counted] : counts.domains) {
    DomainStatistics domain{number, std::to_string(number), counted.first, {}};
    if (size_t(number) < about.domains.size()) domain.name = about.domains[size_t(number)];
    for (int64_t layer = 0; layer < about.layers; ++layer)
      domain.max_over_mean.push_back(max_over_mean(load_of(counted.second, layer, about.experts)));
    domains.push_back(std::move(domain));
  }
  return domains;
}

// Requests numbered in the order in which they first appear.
std::unordered_map<int32_t, int64_t> number_requests(TraceInput& trace) {
  std::unordered_map<int32_t, int64_t> numbers;  // never iterated
  trace.for_each_block(only_column("request"), [&](const RoutingTrace& block, int64_t) {
    for (const int32_t request : block.request) numbers.try_emplace(request, int64_t(numbers.size()));
  });
  return numbers;
}

// Which tokens teach the table: those of the first half of the requests, or of the tokens where those are not known.
class FirstHalf {
 public:
  FirstHalf(const std::unordered_map<int32_t, int64_t>& numbers, int64_t tokens) : numbers_(numbers), tokens_(tokens) {}
  bool holds(const RoutingTrace& block, int64_t first_token, int64_t token) const {
    if (block.request.empty()) return first_token + token < tokens_ / 2;
    return numbers_.at(block.request[size_t(token)]) < int64_t(numbers_.size() + 1) / 2;
  }

 private:
  const std::unordered_map<int32_t, int64_t>& numbers_;
  int64_t tokens_;
};

void add_token_table(const TokenTable& table, TraceStatistics& statistics) {
  if (table.tested_ids() == 0) return;
  statistics.tested_ids_seen = double(table.seen_ids()) / double(table.tested_ids());
  for (LayerStatistics& layer : statistics.by_layer) {
    const TokenTable::Score& score = table.score(&layer - statistics.by_layer.data());
    const double tested = double(std::max<int64_t>(1, score.tested));
    layer.token_table = {score.tested, double(score.right) / tested, double(score.right_by_popularity) / tested};
  }
  if (table.is_full()) statistics.notes.push_back("the table by token id was full before all ids had been learnt");
}

TraceStatistics start(const TraceHead& head) {
  const RoutingTrace& about = head.about;
  TraceStatistics s;
  s.tokens = about.tokens;
  s.layers = about.layers;
  s.top_k = about.top_k;
  s.experts = about.experts;
  s.zero_experts = about.zero_experts;
  s.model = about.model;
  s.source = about.source;
  s.recorded = about.recorded;
  s.notes = about.notes;
  s.arrays.push_back("ids");
  if (head.gate != GateWidth::none) s.arrays.push_back("gate");
  for (size_t column = 0; column < kTraceColumns; ++column)
    if (head.has[column]) s.arrays.push_back(columns(about)[column].name);
  return s;
}

Counts empty_counts(const RoutingTrace& about, std::vector<std::string>& notes) {
  Counts counts;
  const int64_t cells = about.layers * (about.experts + 1);
  for (Loads& window : counts.windows) window.resize(size_t(cells));
  if ((about.layers - 1) * about.experts * about.experts <= kPairCellsMax)
    counts.pairs.assign(size_t(about.layers - 1), std::vector<int64_t>(size_t(about.experts * about.experts), 0));
  else
    notes.push_back("affinity is left out: it would need a table of layers x experts x experts");
  return counts;
}

}  // namespace

TraceStatistics trace_statistics(TraceInput& trace, Depth depth) {
  const TraceHead& head = trace.head();
  if (const int64_t cells = head.about.layers * (head.about.experts + 1); cells > kLoadCellsMax / kWindows)
    throw ConfigError(trace.source(), fmt::format("layers x experts are {}; statistics are gathered of up to {}", cells,
                                                  kLoadCellsMax / kWindows));
  TraceStatistics statistics = start(head);
  Counts counts = empty_counts(head.about, statistics.notes);
  const bool by_token = depth == Depth::full && has_column(head, "token");
  std::unordered_map<int32_t, int64_t> requests;
  if (depth == Depth::full && has_column(head, "request")) {
    requests = number_requests(trace);
    statistics.requests = int64_t(requests.size());
  }

  const FirstHalf first_half(requests, head.about.tokens);
  TokenTable table(by_token ? head.about.layers : 0, head.about.experts);
  TraceParts parts = only_column("domain");
  parts.ids = true;
  parts.columns[column_index("token")] = parts.columns[column_index("request")] = by_token;
  trace.for_each_block(parts, [&](const RoutingTrace& block, int64_t first) {
    count_block(block, first, head.about.tokens, counts);
    for (int64_t token = 0; by_token && token < block.tokens; ++token)
      if (first_half.holds(block, first, token)) table.learn(block, token);
  });
  table.finish_learning();
  if (by_token)
    trace.for_each_block(parts, [&](const RoutingTrace& block, int64_t first) {
      for (int64_t token = 0; token < block.tokens; ++token)
        if (!first_half.holds(block, first, token)) table.test(block, token);
    });

  if (counts.too_many_domains) {
    counts.domains.clear();
    statistics.notes.push_back("domains are left out: there are too many of them");
  }
  for (int64_t layer = 0; layer < head.about.layers; ++layer)
    statistics.by_layer.push_back(layer_statistics(head.about, counts, layer));
  statistics.by_domain = domain_statistics(head.about, counts);
  if (by_token) add_token_table(table, statistics);
  return statistics;
}

}  // namespace moesim
