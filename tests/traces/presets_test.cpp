#include "traces/presets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/traces/trace_cases.h"
#include "traces/presets/published_loads.h"
#include "traces/statistics.h"

namespace moesim {
namespace {

constexpr double kLn2 = 0.69314718055994531;

RoutingTrace domain_of(const RoutingTrace& trace, int32_t domain) {
  RoutingTrace part = empty_trace(0, trace.layers, trace.top_k, trace.experts);
  for (int64_t token = 0; token < trace.tokens; ++token) {
    if (trace.domain[size_t(token)] != domain) continue;
    const auto row = token_row(trace, token);
    part.ids.insert(part.ids.end(), row.begin(), row.end());
    part.token.push_back(trace.token[size_t(token)]);
    ++part.tokens;
  }
  return part;
}

// Of the choices of frequent ids (100 k choices or more in the source's 208,896 tokens a domain, here in proportion),
// how many go to the k experts that the id chooses most.
double told_by_id(const RoutingTrace& trace, int64_t layer) {
  std::map<int32_t, std::vector<int64_t>> counts;
  for (int64_t token = 0; token < trace.tokens; ++token) {
    std::vector<int64_t>& count = counts[trace.token[size_t(token)]];
    count.resize(size_t(trace.experts));
    for (const uint16_t expert : choices(trace, token, layer)) ++count[expert];
  }
  int64_t all = 0;
  int64_t told = 0;
  for (auto& [id, count] : counts) {
    int64_t sum = 0;
    for (const int64_t c : count) sum += c;
    if (sum < 100 * trace.top_k) continue;
    std::sort(count.rbegin(), count.rend());
    all += sum;
    for (int64_t k = 0; k < trace.top_k; ++k) told += count[size_t(k)];
  }
  return double(told) / double(all);
}

double information(const RoutingTrace& trace, int64_t layer, int64_t other) {
  std::vector<int64_t> pairs(size_t(trace.experts * trace.experts), 0);
  for (int64_t token = 0; token < trace.tokens; ++token)
    ++pairs[size_t(choices(trace, token, layer)[0]) * size_t(trace.experts) + choices(trace, token, other)[0]];
  // Less what independent choices would show by chance, as the source's larger counts do not.
  const double cells = double((trace.experts - 1) * (trace.experts - 1));
  return affinity_of_pairs(pairs, trace.experts).mutual_information_bits - cells / (2 * double(trace.tokens) * kLn2);
}

TEST(Presets, AreValidTraces) {
  for (const TracePreset& preset : presets()) EXPECT_TRUE(check_trace(preset_trace(preset)).empty()) << preset.name;
}

TEST(Presets, HaveThePublishedLoadsInEachDomain) {
  for (const TracePreset& preset : presets()) {
    const RoutingTrace trace = preset_trace(preset);
    for (size_t domain = 0; domain < preset.domains.size(); ++domain) {
      const RoutingTrace part = domain_of(trace, int32_t(domain));
      for (size_t i = 0; i < preset.published_layers.size(); ++i) {
        const std::vector<int64_t> load = expert_load(part, preset.published_layers[i], all_tokens(part));
        double apart = 0;
        for (size_t expert = 0; expert < load.size(); ++expert)
          apart += std::abs(double(load[expert]) / double(part.tokens) -
                            double((*preset.loads)[domain][i][expert]) / 10'000);
        EXPECT_LT(apart / 2 / double(preset.top_k), 0.03) << preset.name << " " << preset.domains[domain] << " " << i;
      }
    }
  }
}

// Published means over the five domains (four for OLMoE's ids) of layers 0, 7 and 15, computed from the source's
// tables.
TEST(Presets, AreToldByIdAndByDistantLayersAsPublished) {
  const std::map<std::string, std::vector<double>> by_id{{"olmoe-1b-7b", {0.529, 0.674, 0.722}},
                                                         {"mixtral-8x7b", {0.608, 0.550, 0.622}}};
  const std::map<std::string, std::vector<double>> bits{{"olmoe-1b-7b", {0.562, 0.954}},
                                                        {"mixtral-8x7b", {0.094, 0.166}}};
  for (const TracePreset& preset : presets()) {
    const RoutingTrace trace = preset_trace(preset);
    std::vector<double> told(3, 0);
    std::vector<double> shared(2, 0);
    for (int32_t domain = 0; domain < 5; ++domain) {
      const RoutingTrace part = domain_of(trace, domain);
      for (size_t i = 0; i < 3; ++i) told[i] += told_by_id(part, preset.published_layers[i]) / 5;
      shared[0] += information(part, 0, 7) / 5;
      shared[1] += information(part, 7, 15) / 5;
    }
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(told[i], by_id.at(preset.name)[i], 0.06) << preset.name << " " << i;
    for (size_t i = 0; i < 2; ++i)
      EXPECT_NEAR(shared[i], bits.at(preset.name)[i], 0.45 * bits.at(preset.name)[i]) << preset.name << " " << i;
  }
}

TEST(Presets, AreNamedInTheAnswerToAWrongName) {
  std::string text;
  check_preset("olmo", [&](const std::string& fault) { text = fault; });
  EXPECT_TRUE(says(text, "mixtral-8x7b"));
  check_preset("olmoe-1b-7b", [](const std::string&) { FAIL(); });
}

}  // namespace
}  // namespace moesim
