#include "traces/trace_templates.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <unordered_map>

#include "sim/core/check.h"
#include "sim/core/random.h"
#include "traces/trace_documents.h"
#include "traces/trace_input.h"

namespace moesim {
namespace {

constexpr int64_t kEpochs = 2;  // what is learnt from the first half must not be tested on copies of it
constexpr int64_t kEpochsOfDrift = 10;
constexpr size_t kSlices = 10;  // of each domain, in the test for drift
constexpr int kShuffles = 39;   // of the slices: drift is called what fewer than 1 trace in 40 without it shows
constexpr uint64_t kShuffleSeed = 1;

void append_tokens(const RoutingTrace& from, TokenRange range, RoutingTrace& to) {
  const int64_t row = from.layers * from.top_k;
  const auto ids = from.ids.begin() + range.first * row;
  to.ids.insert(to.ids.end(), ids, ids + range.count * row);
  for (size_t column = 0; column < kTraceColumns; ++column)
    if (const auto& values = *columns(from)[column].values; !values.empty()) {
      const auto begin = values.begin() + range.first;
      columns(to)[column].values->insert(columns(to)[column].values->end(), begin, begin + range.count);
    }
  to.tokens += range.count;
}

RoutingTrace without_gate_and_engine(const RoutingTrace& trace) {
  RoutingTrace about = tokens_of(trace, {0, 0});
  about.gate.clear();
  about.tokens = 0;
  return about;
}

// How often each expert of each layer was chosen in consecutive parts of a domain's documents.
using SliceLoads = std::vector<std::vector<int64_t>>;

SliceLoads slice_loads(const TraceTemplates& templates, const std::vector<uint32_t>& documents) {
  const RoutingTrace& rows = templates.rows;
  const size_t slices = std::min(kSlices, documents.size());
  SliceLoads loads(slices, std::vector<int64_t>(size_t(rows.layers * rows.experts), 0));
  for (size_t place = 0; place < documents.size(); ++place) {
    const TemplateDocument& document = templates.documents[documents[place]];
    std::vector<int64_t>& load = loads[place * slices / documents.size()];
    for (int64_t token = document.first; token < document.first + document.tokens; ++token)
      for (int64_t layer = 0; layer < rows.layers; ++layer)
        for (const uint16_t expert : choices(rows, token, layer))
          if (expert != kDropped) ++load[size_t(layer * rows.experts + expert)];
  }
  return loads;
}

// Half the sum of the differences between slices that follow each other, in an order.
double roughness(const SliceLoads& loads, std::span<const size_t> order) {
  double apart = 0;
  for (size_t i = 0; i + 1 < order.size(); ++i) {
    const std::vector<int64_t>& a = loads[order[i]];
    const std::vector<int64_t>& b = loads[order[i + 1]];
    const double a_all = double(std::max<int64_t>(1, std::accumulate(a.begin(), a.end(), int64_t{0})));
    const double b_all = double(std::max<int64_t>(1, std::accumulate(b.begin(), b.end(), int64_t{0})));
    for (size_t cell = 0; cell < a.size(); ++cell) apart += std::abs(double(a[cell]) / a_all - double(b[cell]) / b_all);
  }
  return apart / 2;
}

// Whether neighbours in time are more alike than any shuffled order of them has it.
bool drifts(const TraceTemplates& templates) {
  std::map<int32_t, std::vector<uint32_t>> by_domain;
  for (uint32_t document = 0; document < templates.documents.size(); ++document)
    by_domain[templates.pools[size_t(templates.documents[document].pool)].domain].push_back(document);
  double actual = 0;
  std::vector<double> shuffled(size_t(kShuffles), 0);
  Rng rng(kShuffleSeed);
  for (const auto& [domain, documents] : by_domain) {
    if (documents.size() < 3) continue;  // two are neighbours in any order
    const SliceLoads loads = slice_loads(templates, documents);
    std::vector<size_t> order(loads.size());
    std::iota(order.begin(), order.end(), size_t{0});
    actual += roughness(loads, order);
    for (double& sum : shuffled) {
      rng.shuffle(std::span(order));
      sum += roughness(loads, order);
    }
  }
  return actual < *std::min_element(shuffled.begin(), shuffled.end());
}

// Documents of one domain, and of one epoch, are a pool.
void make_pools(TraceTemplates& templates, int64_t epochs) {
  templates.pools.clear();
  std::map<std::pair<int64_t, int32_t>, int32_t> pool_of;
  for (uint32_t number = 0; number < templates.documents.size(); ++number) {
    TemplateDocument& document = templates.documents[number];
    const int64_t epoch = int64_t(double(document.first) / double(templates.rows.tokens) * double(epochs));
    const int32_t domain = templates.rows.domain.empty() ? 0 : templates.rows.domain[size_t(document.first)];
    document.pool = pool_of.try_emplace({epoch, domain}, int32_t(templates.pools.size())).first->second;
    if (size_t(document.pool) == templates.pools.size()) templates.pools.push_back({domain, {}});
    templates.pools[size_t(document.pool)].documents.push_back(number);
  }
}

void make_groups(TraceTemplates& templates) {
  const RoutingTrace& rows = templates.rows;
  std::unordered_map<uint64_t, uint32_t> group_of;  // by pool and id; never iterated
  std::vector<uint32_t> sizes;
  for (int64_t token = 0; token < rows.tokens; ++token) {
    const uint32_t document = templates.document_of[size_t(token)];
    const uint32_t id =
        rows.token.empty() ? rows.ids[size_t(token * rows.layers * rows.top_k)] : uint32_t(rows.token[size_t(token)]);
    const uint64_t key = uint64_t(uint32_t(templates.documents[document].pool)) << 32 | id;
    const uint32_t group = group_of.try_emplace(key, uint32_t(sizes.size())).first->second;
    if (group == sizes.size()) sizes.push_back(0);
    ++sizes[group];
    templates.group_of.push_back(group);
  }
  templates.first_of_groups.assign(sizes.size() + 1, 0);
  std::partial_sum(sizes.begin(), sizes.end(), templates.first_of_groups.begin() + 1);
  templates.members.resize(size_t(rows.tokens));
  std::vector<uint32_t> next(templates.first_of_groups.begin(), templates.first_of_groups.end() - 1);
  for (uint32_t token = 0; token < templates.group_of.size(); ++token)
    templates.members[next[templates.group_of[token]]++] = token;
}

}  // namespace

TraceTemplates trace_templates(const RoutingTrace& trace) {
  CHECK(trace.tokens > 0 && trace.tokens < UINT32_MAX);
  TraceTemplates templates;
  templates.rows = without_gate_and_engine(trace);
  templates.rows.ids.reserve(trace.ids.size());
  for (const TraceDocument& document : trace_documents(trace)) {
    templates.documents.push_back({templates.rows.tokens, 0, 0});
    for (const TokenRange& stretch : document.stretches) append_tokens(trace, stretch, templates.rows);
    templates.documents.back().tokens = document.tokens;
    templates.document_of.resize(size_t(templates.rows.tokens), uint32_t(templates.documents.size() - 1));
  }
  templates.rows.gate.clear();
  templates.rows.step.clear();
  templates.rows.rank.clear();
  make_pools(templates, kEpochs);
  templates.drifts = drifts(templates);
  if (templates.drifts) make_pools(templates, kEpochsOfDrift);
  make_groups(templates);
  return templates;
}

TraceHalves trace_halves(const TraceTemplates& templates) {
  TraceHalves halves{without_gate_and_engine(templates.rows), without_gate_and_engine(templates.rows)};
  std::map<int32_t, std::vector<uint32_t>> by_domain;
  for (uint32_t document = 0; document < templates.documents.size(); ++document)
    by_domain[templates.pools[size_t(templates.documents[document].pool)].domain].push_back(document);
  std::vector<int> half_of(templates.documents.size(), -1);
  for (const auto& [domain, documents] : by_domain)
    for (size_t place = 0; place < documents.size() / 2 * 2; ++place) half_of[documents[place]] = int(place % 2);
  for (size_t document = 0; document < half_of.size(); ++document)
    if (half_of[document] >= 0)
      append_tokens(templates.rows, {templates.documents[document].first, templates.documents[document].tokens},
                    half_of[document] == 0 ? halves.fitted : halves.held_out);
  return halves;
}

}  // namespace moesim
