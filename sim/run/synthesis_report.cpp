#include "sim/run/synthesis_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "sim/config/error.h"
#include "sim/run/runner.h"

namespace moesim {
namespace {

constexpr int64_t kGpus = 8;
constexpr int64_t kSteps = 4;
constexpr int64_t kTokensMax = 1024;  // of a GPU in a step
constexpr size_t kSizesShown = 12;

Results simulate(const RoutingTrace& trace, const char* placement) {
  const int64_t judged = trace.tokens - trace.tokens / 2;
  const int64_t tokens = std::clamp<int64_t>(judged / (kGpus * kSteps), 1, kTokensMax);
  const std::string text = fmt::format(
      R"({{"format_version": 1, "name": "synthesis", "model": "olmoe-1b-7b", "cluster": {{"nodes": 1}},
          "batch": [{{"count": 1, "new_tokens": {}}}], "placement": "{}", "steps": {}}})",
      tokens, placement, kSteps);
  TraceStore none;
  LoadedScenario loaded = load_scenario(parse_json(text, "synthesis"), "synthesis", none);
  loaded.model.layers = int32_t(trace.layers);
  loaded.model.experts = int32_t(trace.experts);
  loaded.model.top_k = int32_t(trace.top_k);
  loaded.trace = &trace;
  check_scenario(loaded);
  return run_scenario(loaded, {});
}

SimulatedRouting simulated(const RoutingTrace& trace) {
  const Results contiguous = simulate(trace, "contiguous");
  const Results greedy = simulate(trace, "greedy");
  return {contiguous.step_time_s, contiguous.gpu_load_max_over_mean, 1 - greedy.step_time_s / contiguous.step_time_s};
}

// A trace and all that is measured of it.
struct Measured {
  std::string name;
  TraceFingerprint fingerprint;
  SimulatedRouting simulated;
};

Measured measure(const RoutingTrace& trace, std::string name, std::vector<std::string>& notes) {
  Measured measured{std::move(name), trace_fingerprint(trace), {}};
  try {
    measured.simulated = simulated(trace);
  } catch (const ConfigError& error) {
    notes.push_back(fmt::format("{}: not simulated: {}", measured.name, error.what()));
  }
  return measured;
}

TraceComparison compare(const Measured& a, const Measured& b) {
  TraceComparison comparison{a.name, b.name, trace_difference(a.fingerprint, b.fingerprint), a.simulated, b.simulated};
  if (a.simulated.step_time_s > 0)
    comparison.step_time = std::abs(b.simulated.step_time_s / a.simulated.step_time_s - 1);
  comparison.placement_gain = std::abs(b.simulated.placement_gain - a.simulated.placement_gain);
  return comparison;
}

// At sizes that are spread evenly, the largest included.
std::vector<CacheSize> cache_sizes(const HitRates& recorded, const HitRates& synthetic) {
  std::vector<CacheSize> sizes;
  const size_t shown = std::min(kSizesShown, recorded.size());
  for (size_t i = 1; i <= shown; ++i) {
    const size_t experts = i * recorded.size() / shown;
    sizes.push_back({int64_t(experts), recorded[experts - 1], synthetic[experts - 1]});
  }
  return sizes;
}

HitRates mean_of(const std::vector<HitRates>& layers) {
  HitRates mean(layers[0].size(), 0);
  for (const HitRates& layer : layers)
    for (size_t size = 0; size < mean.size(); ++size) mean[size] += layer[size] / double(layers.size());
  return mean;
}

RoutingTrace synthetic_like(const TraceTemplates& templates, const SynthesisRates& rates, uint64_t seed) {
  const RoutingTrace& rows = templates.rows;
  return synthesise(templates, {{rows.layers, rows.experts, rows.top_k}, rows.tokens, seed, rates});
}

void count_copies(const TraceTemplates& templates, const SynthesisRates& rates, uint64_t seed,
                  SynthesisReport& report) {
  const RoutingTrace& rows = templates.rows;
  TraceSynthesizer synthesizer(templates, {{rows.layers, rows.experts, rows.top_k}, rows.tokens, seed, rates});
  RoutingTrace block;
  synthesizer.next_block(rows.tokens, block);
  const SynthesisCounts& counts = synthesizer.counts();
  report.mean_run = double(counts.tokens) / double(counts.pieces);
  report.longest_run = counts.longest_run;
  report.new_rows = double(counts.new_rows) / double(counts.tokens);
}

}  // namespace

SynthesisReport synthesis_report(const TraceTemplates& templates, const std::vector<SynthesisTry>& tries, uint64_t seed,
                                 const std::string& like) {
  SynthesisReport report;
  const SynthesisRates rates = tries.back().rates;
  report.like = like;
  report.tokens = templates.rows.tokens;
  report.documents = int64_t(templates.documents.size());
  report.drifts = templates.drifts;
  report.jump = rates.jump;
  report.swap = rates.swap;
  report.tries = int64_t(tries.size());
  count_copies(templates, rates, seed, report);

  const Measured recorded = measure(templates.rows, "recorded", report.notes);
  const Measured synthetic = measure(synthetic_like(templates, rates, seed), "synthetic", report.notes);
  report.comparisons.push_back(compare(recorded, synthetic));
  report.lru_of_a_layer =
      cache_sizes(mean_of(recorded.fingerprint.lru_by_layer), mean_of(synthetic.fingerprint.lru_by_layer));
  report.lru_of_all = cache_sizes(recorded.fingerprint.lru_of_all, synthetic.fingerprint.lru_of_all);

  const TraceHalves halves = trace_halves(templates);
  if (halves.fitted.tokens == 0) {
    report.notes.push_back("nothing was held out: no domain has two documents");
    return report;
  }
  const Measured held_out = measure(halves.held_out, "held-out part", report.notes);
  const Measured other = measure(halves.fitted, "other part", report.notes);
  const TraceTemplates part = trace_templates(halves.fitted);
  const Measured from_part = measure(synthetic_like(part, rates, seed), "synthetic of other part", report.notes);
  report.comparisons.push_back(compare(held_out, other));
  report.comparisons.push_back(compare(held_out, from_part));
  return report;
}

}  // namespace moesim
