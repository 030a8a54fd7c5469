#include <fmt/format.h>

#include <iterator>

#include "sim/run/synthesis_report.h"

namespace moesim {
namespace {

struct Line {
  const char* name;
  double (*value)(const TraceComparison&);
  double bar;  // of recorded against synthetic; 0 where none was set
};

constexpr Line kLines[] = {
    {"load on other experts, worst layer", [](const TraceComparison& c) { return c.difference.load; }, 0.01},
    {"load on other experts, mean layer", [](const TraceComparison& c) { return c.difference.load_mean; }, 0},
    {"affinity to the next layer, worst layer", [](const TraceComparison& c) { return c.difference.information; }, 0.1},
    {"affinity to the next layer, mean", [](const TraceComparison& c) { return c.difference.information_mean; }, 0},
    {"LRU of a layer, worst size and layer", [](const TraceComparison& c) { return c.difference.lru_by_layer; }, 0.03},
    {"LRU of all layers, worst size", [](const TraceComparison& c) { return c.difference.lru_of_all; }, 0.03},
    {"choices kept from token to token", [](const TraceComparison& c) { return c.difference.kept_choices; }, 0},
    {"predicted by token id, worst layer", [](const TraceComparison& c) { return c.difference.token_table; }, 0},
    {"drift from tenth to tenth, worst layer", [](const TraceComparison& c) { return c.difference.drift; }, 0},
    {"tokens of other domains", [](const TraceComparison& c) { return c.difference.domains; }, 0},
    {"skew within domains", [](const TraceComparison& c) { return c.difference.domain_skew; }, 0},
    {"simulated step time", [](const TraceComparison& c) { return c.step_time; }, 0.03},
    {"placement gain", [](const TraceComparison& c) { return c.placement_gain; }, 0},
};

std::string caches(const char* name, const std::vector<CacheSize>& sizes) {
  std::string text = fmt::format("\n{:<28}", name);
  for (const CacheSize& size : sizes) fmt::format_to(std::back_inserter(text), "{:>6}", size.experts);
  fmt::format_to(std::back_inserter(text), "\n{:<28}", "  recorded, hits in %");
  for (const CacheSize& size : sizes) fmt::format_to(std::back_inserter(text), "{:>6.1f}", 100 * size.recorded);
  fmt::format_to(std::back_inserter(text), "\n{:<28}", "  synthetic");
  for (const CacheSize& size : sizes) fmt::format_to(std::back_inserter(text), "{:>6.1f}", 100 * size.synthetic);
  return text + "\n";
}

}  // namespace

std::string synthesis_text(const SynthesisReport& report) {
  std::string text = fmt::format("{}: {} tokens of {} documents{}\n", report.like, report.tokens, report.documents,
                                 report.drifts ? ", whose routing drifts: each tenth is resampled by itself" : "");
  text += fmt::format("rates: jump {:.4f} a token, swap {:.4f} a layer; {} tried\n", report.jump, report.swap,
                      report.tries);
  text += fmt::format("copied: pieces of {:.1f} tokens (longest {}), {:.1f} % of rows new\n\n", report.mean_run,
                      report.longest_run, 100 * report.new_rows);
  text += fmt::format("{:<42}", "differences in %");
  for (size_t i = 0; i < report.comparisons.size(); ++i) text += fmt::format("{:>8}", fmt::format("({})", i + 1));
  text += fmt::format("{:>8}\n", "bar");
  for (const Line& line : kLines) {
    text += fmt::format("{:<42}", line.name);
    for (const TraceComparison& comparison : report.comparisons)
      text += fmt::format("{:>8.2f}", 100 * line.value(comparison));
    text += line.bar > 0 ? fmt::format("{:>8.0f}\n", 100 * line.bar) : "\n";
  }
  for (size_t i = 0; i < report.comparisons.size(); ++i) {
    const TraceComparison& c = report.comparisons[i];
    text += fmt::format("({}) {} against {}: step {:.3f} and {:.3f} ms, greedy placement saves {:.1f} and {:.1f} %\n",
                        i + 1, c.compared, c.reference, 1e3 * c.compared_simulated.step_time_s,
                        1e3 * c.reference_simulated.step_time_s, 100 * c.compared_simulated.placement_gain,
                        100 * c.reference_simulated.placement_gain);
  }
  text += caches("LRU of a layer, experts", report.lru_of_a_layer);
  text += caches("LRU of all layers, experts", report.lru_of_all);
  for (const std::string& note : report.notes) text += "note: " + note + "\n";
  return text;
}

}  // namespace moesim
