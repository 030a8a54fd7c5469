#include "traces/trace_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "traces/statistics.h"

namespace moesim {
namespace {

constexpr size_t kStripColumns = 64;
constexpr int64_t kRanks = 8;  // the skew that a node of eight GPUs sees
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

std::string optional_arrays(const RoutingTrace& trace) {
  std::vector<std::string> names;
  if (!trace.gate.empty()) names.push_back("gate");
  for (const auto& column : columns(trace))
    if (!column.values->empty()) names.push_back(column.name);
  return names.empty() ? "ids alone" : fmt::format("ids, {}", fmt::join(names, ", "));
}

std::string head(const RoutingTrace& trace) {
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
  line("arrays", optional_arrays(trace));
  const int64_t dropped = std::count(trace.ids.begin(), trace.ids.end(), kDropped);
  if (dropped > 0)
    line("dropped", fmt::format("{} of {} choices ({:.2f} %)", dropped, trace.ids.size(),
                                100 * double(dropped) / double(trace.ids.size())));
  for (const std::string& note : trace.notes) line("note", note);
  return text;
}

std::string layer_line(const RoutingTrace& trace, int64_t layer, Glyphs glyphs) {
  const std::vector<int64_t> load = expert_load(trace, layer, all_tokens(trace));
  const int64_t number = trace.layer_numbers.empty() ? layer : trace.layer_numbers[size_t(layer)];
  std::string ranks = "-";
  if (trace.experts % kRanks == 0) ranks = brief(max_over_mean(contiguous_load(load, kRanks)));
  std::string information = "-";
  std::string concentration = "-";
  if (layer + 1 < trace.layers) {
    const Affinity affinity = affinity_to_next(trace, layer);
    information = brief(affinity.mutual_information_bits);
    concentration = fmt::format("{:.0f}", 100 * affinity.concentration);
  }
  return fmt::format("{:>5} {:>5} {:>4} {:>4} {:>4} {:>4} {:>3} {}\n", number, brief(max_over_mean(load)), ranks,
                     brief(gini(load)), brief(entropy_bits(load)), information, concentration, strip(load, glyphs));
}

std::string legend(const RoutingTrace& trace, Glyphs glyphs) {
  const auto& steps = glyphs == Glyphs::unicode ? kBlocks : kLetters;
  return fmt::format(
      "  hot: hottest expert / mean; ep8: the same of 8 contiguous ranks; gini, bits: evenness of the load\n"
      "  mi: bits that a layer's first choice tells of the next layer's; go%: tokens that go where most go\n"
      "  load: {} a column, '{}' below 0.25 to '{}' above 1.75 times the mean\n",
      trace.experts > int64_t(kStripColumns) ? "the hottest of its experts" : "one expert", steps.front(),
      steps.back());
}

std::string domain_lines(const RoutingTrace& trace) {
  std::string text;
  for (const DomainSkew& skew : domain_skews(trace)) {
    const bool named = size_t(skew.domain) < trace.domains.size();
    text += fmt::format("{:>12} {:>9} {:>6.2f} {:>6.2f}\n",
                        named ? trace.domains[size_t(skew.domain)] : std::to_string(skew.domain), skew.tokens,
                        skew.mean, skew.max);
  }
  if (text.empty()) return text;
  return fmt::format("\n{:>12} {:>9} {:>6} {:>6}  hottest expert / mean within a domain, over the layers\n", "domain",
                     "tokens", "mean", "max") +
         text;
}

}  // namespace

std::string trace_info(const RoutingTrace& trace, Glyphs glyphs) {
  std::string text = head(trace);
  text += fmt::format("\n{:>5} {:>5} {:>4} {:>4} {:>4} {:>4} {:>3} {}\n", "layer", "hot", "ep8", "gini", "bits", "mi",
                      "go%", "load");
  for (int64_t layer = 0; layer < trace.layers; ++layer) text += layer_line(trace, layer, glyphs);
  text += legend(trace, glyphs);
  return text + domain_lines(trace);
}

}  // namespace moesim
