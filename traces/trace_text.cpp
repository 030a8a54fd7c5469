#include "traces/trace_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace moesim {
namespace {

constexpr std::array<const char*, 8> kBlocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<const char*, 8> kLetters{" ", ".", ":", "-", "=", "+", "*", "#"};

// A column is the hottest of its experts; its height is that expert's load over the mean, a step a quarter.
std::string strip(const std::vector<int64_t>& load, Glyphs glyphs) {
  int64_t total = 0;
  for (const int64_t count : load) total += count;
  const size_t columns_shown = std::min(load.size(), kStripColumns);
  std::string text;
  for (size_t column = 0; column < columns_shown; ++column) {
    const size_t first = column * load.size() / columns_shown;
    const size_t end = (column + 1) * load.size() / columns_shown;
    const int64_t hottest = *std::max_element(load.begin() + ptrdiff_t(first), load.begin() + ptrdiff_t(end));
    const double over_mean = total == 0 ? 0 : double(hottest) * double(load.size()) / double(total);
    const size_t step = size_t(std::min(7.0, over_mean * 4));
    text += (glyphs == Glyphs::unicode ? kBlocks : kLetters)[step];
  }
  return text;
}

// Three digits or all that stand before the point, in four columns up to 9999.
std::string brief(double value) { return fmt::format("{:.{}f}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0); }

std::string head(const TraceStatistics& trace) {
  std::string text =
      fmt::format("{} tokens, {} layers, top-{} of {} experts", trace.tokens, trace.layers, trace.top_k, trace.experts);
  if (trace.zero_experts > 0) text += fmt::format(" and {} zero-computation experts", trace.zero_experts);
  text += "\n";
  const auto line = [&](const char* name, const std::string& value) {
    if (!value.empty()) text += fmt::format("  {:<9} {}\n", name, value);
  };
  line("model", trace.model);
  line("source", trace.source);
  line("recorded", trace.recorded);
  line("arrays", trace.arrays.size() == 1 ? "ids alone" : fmt::format("{}", fmt::join(trace.arrays, ", ")));
  int64_t dropped = 0;
  for (const LayerStatistics& layer : trace.by_layer) dropped += layer.dropped;
  const double choices = double(trace.tokens) * double(trace.layers * trace.top_k);
  if (dropped > 0)
    line("dropped", fmt::format("{} of {:.0f} choices ({:.2f} %)", dropped, choices, 100 * double(dropped) / choices));
  for (const std::string& note : trace.notes) line("note", note);
  return text;
}

std::string layer_line(const LayerStatistics& layer, Glyphs glyphs) {
  return fmt::format("{:>5} {:>5} {:>4} {:>4} {:>4} {:>4} {:>3} {}\n", layer.layer, brief(layer.max_over_mean),
                     layer.max_over_mean_ep8 ? brief(*layer.max_over_mean_ep8) : "-", brief(layer.gini),
                     brief(layer.entropy_bits), layer.to_next ? brief(layer.to_next->mutual_information_bits) : "-",
                     layer.to_next ? fmt::format("{:.0f}", 100 * layer.to_next->concentration) : "-",
                     strip(layer.load, glyphs));
}

std::string legend(const TraceStatistics& trace, Glyphs glyphs) {
  const auto& steps = glyphs == Glyphs::unicode ? kBlocks : kLetters;
  return fmt::format(
      "  hot: hottest expert / mean; ep8: the same of 8 contiguous ranks; gini, bits: evenness of the load\n"
      "  mi: bits that a layer's first choice tells of the next layer's; go%: tokens that go where most go\n"
      "  load: {} a column, '{}' below 0.25 to '{}' above 1.75 times the mean\n",
      trace.experts > int64_t(kStripColumns) ? "the hottest of its experts" : "one expert", steps.front(),
      steps.back());
}

std::string domain_lines(const TraceStatistics& trace) {
  if (trace.by_domain.empty()) return "";
  std::string text = fmt::format("\n{:>12} {:>9} {:>6} {:>6}  hottest expert / mean within a domain, over the layers\n",
                                 "domain", "tokens", "mean", "max");
  for (const DomainStatistics& domain : trace.by_domain) {
    double mean = 0;
    for (const double skew : domain.max_over_mean) mean += skew / double(domain.max_over_mean.size());
    const double max = *std::max_element(domain.max_over_mean.begin(), domain.max_over_mean.end());
    text += fmt::format("{:>12} {:>9} {:>6.2f} {:>6.2f}\n", domain.name, domain.tokens, mean, max);
  }
  return text;
}

std::string percent(double share) { return fmt::format("{:.1f}", 100 * share); }

std::string report_line(const LayerStatistics& layer) {
  return fmt::format(
      "{:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>6} {:>6} {:>6} {:>6} {:>6}\n", layer.layer,
      brief(layer.max_over_mean), layer.max_over_mean_ep8 ? brief(*layer.max_over_mean_ep8) : "-", brief(layer.gini),
      brief(layer.entropy_bits), brief(layer.zipf_exponent), brief(layer.zipf_error), brief(layer.log_normal_sigma),
      brief(layer.log_normal_error), layer.to_next ? brief(layer.to_next->mutual_information_bits) : "-",
      layer.to_next ? percent(layer.to_next->concentration) : "-",
      layer.token_table ? percent(layer.token_table->accuracy) : "-",
      layer.token_table ? percent(layer.token_table->accuracy_by_popularity) : "-", percent(layer.drift.neighbours),
      percent(layer.drift.ends), percent(layer.drift.chance));
}

}  // namespace

std::string trace_info(const TraceStatistics& trace, Glyphs glyphs) {
  std::string text = head(trace);
  text += fmt::format("\n{:>5} {:>5} {:>4} {:>4} {:>4} {:>4} {:>3} {}\n", "layer", "hot", "ep8", "gini", "bits", "mi",
                      "go%", "load");
  for (const LayerStatistics& layer : trace.by_layer) text += layer_line(layer, glyphs);
  text += legend(trace, glyphs);
  return text + domain_lines(trace);
}

std::string trace_report(const TraceStatistics& trace) {
  std::string text = head(trace);
  if (trace.requests) text += fmt::format("  {:<9} {}\n", "requests", *trace.requests);
  text +=
      fmt::format("\n{:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>6} {:>6} {:>6} {:>6} {:>6}\n",
                  "layer", "hot", "ep8", "gini", "bits", "zipf", "err", "sigma", "err", "mi", "go%", "id%", "pop%",
                  "drift%", "ends%", "noise%");
  for (const LayerStatistics& layer : trace.by_layer) text += report_line(layer);
  text +=
      "  hot: hottest expert / mean; ep8: the same of 8 contiguous ranks; gini, bits: evenness of the load\n"
      "  zipf: exponent of load ~ rank^-exponent; sigma: deviation of ln(load), for a log-normal law; err: what each\n"
      "  leaves of ln(load), root mean square\n"
      "  mi: bits that a layer's first choice tells of the next layer's; go%: tokens that go where most go\n"
      "  id%: first choices that a table by token id predicts, learnt from the first half of the requests and tested "
      "on\n"
      "  the rest; pop%: by the most frequent first choice alone\n"
      "  drift%: load that changes experts from a tenth of the trace to the next; ends%: from the first to the last;\n"
      "  noise%: what independent choices without drift would show between neighbours\n";
  if (trace.tested_ids_seen)
    text += fmt::format("  the table knew the id of {} % of the tested tokens\n", percent(*trace.tested_ids_seen));
  return text + domain_lines(trace);
}

}  // namespace moesim
