#include "sim/run/compare.h"

#include <algorithm>

#include "sim/config/error.h"
#include "sim/core/parallel.h"

namespace moesim {
namespace {

// The values of a list, cut at commas outside brackets, braces and strings.
std::vector<std::string> split_values(const std::string& text) {
  std::vector<std::string> values(1);
  int depth = 0;
  bool in_string = false;
  bool escaped = false;
  for (const char c : text) {
    if (c == ',' && depth == 0 && !in_string) {
      values.emplace_back();
      continue;
    }
    values.back() += c;
    if (in_string) {
      in_string = escaped || c != '"';
      escaped = !escaped && c == '\\';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return values;
}

}  // namespace

std::vector<Variant> variants_of(const std::vector<std::string>& vary) {
  std::vector<Variant> variants(1);
  for (const std::string& text : vary) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || text.empty() || text[0] != '/')
      throw ConfigError("--vary " + text, "must be /pointer=value,value, as in --vary /placement=contiguous,greedy");
    std::vector<Variant> next;
    for (const Variant& variant : variants)
      for (const std::string& value : split_values(text.substr(equals + 1))) {
        if (value.empty()) throw ConfigError("--vary " + text, "has an empty value");
        next.push_back(variant);
        next.back().settings.push_back(text.substr(0, equals + 1) + value);
        next.back().label += (variant.label.empty() ? "" : ", ") + value;
      }
    variants = std::move(next);
    if (variants.size() > 10'000) throw ConfigError("--vary " + text, "makes more than 10000 variants");
  }
  return variants;
}

std::vector<Results> run_variants(const std::vector<LoadedScenario>& scenarios, const CompareControl& control) {
  std::vector<Results> results(scenarios.size());
  for_all(scenarios.size(), size_t(std::max(control.threads, 1)), [&](size_t v) {
    const RunControl run{control.stop, control.progress == nullptr ? nullptr : &(*control.progress)[v],
                         control.records == nullptr ? nullptr : &(*control.records)[v]};
    results[v] = run_scenario(scenarios[v], run);
  });
  return results;
}

}  // namespace moesim
