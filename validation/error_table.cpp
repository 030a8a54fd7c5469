#include "validation/error_table.h"

#include <fmt/format.h>  // core.h alone does not link format_to() under clang

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <iterator>
#include <tuple>
#include <utility>

namespace moesim {
namespace {

// The order of the report; names that are not here follow by alphabet.
constexpr std::array kKinds = {"moe_layer",    "moe_layer_graph",    "model_step",        "offload_layer",
                               "gemm",         "gemm_graph",         "gemm_bf16",         "gemm_bf16_graph",
                               "grouped_gemm", "grouped_gemm_graph", "grouped_gemm_bf16", "grouped_gemm_bf16_graph",
                               "attention",    "attention_graph",    "attention_sdpa",    "attention_sdpa_graph"};
constexpr std::array kPhases = {"gate",   "permute",   "dispatch", "regr",      "regroup", "experts",
                                "unregr", "unregroup", "combine",  "unpermute", "layer",   "eager",
                                "graph",  "gpu",       "cpu",      "all"};
constexpr std::array kSizes = {"small", "large", "all"};

template <size_t kNames>
size_t place_in(const std::array<const char*, kNames>& names, const std::string& name) {
  return size_t(std::find(names.begin(), names.end(), name) - names.begin());
}

// Rows by the order of the report.
using RowKey = std::tuple<size_t, std::string, size_t, std::string, size_t>;
RowKey key_of(const Comparison& one) {
  return {place_in(kKinds, one.kind), one.kind, place_in(kPhases, one.phase), one.phase, place_in(kSizes, one.size)};
}

std::string percent(const ErrorRow& row, double fraction, const char* format) {
  return row.n == 0 ? "-" : fmt::format(fmt::runtime(format), 100 * fraction);
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

void append_counts(std::string& out, const char* what, const std::map<std::string, int64_t>& counts) {
  if (counts.empty()) return;
  out += what;
  const char* separator = "";
  for (const auto& [name, count] : counts) {
    fmt::format_to(std::back_inserter(out), "{}{} {}", separator, count, name);
    separator = "; ";
  }
  out += '\n';
}

}  // namespace

double quantile(std::vector<double> values, double fraction) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double place = fraction * double(values.size() - 1);
  const size_t below = std::min(size_t(place), values.size() - 1);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (place - double(below));
}

ErrorSummary error_summary(const std::vector<double>& errors) {
  std::vector<double> absolute;
  for (const double error : errors) absolute.push_back(std::abs(error));
  return {int64_t(errors.size()), quantile(absolute, 0.5), quantile(absolute, 0.9), quantile(absolute, 1),
          quantile(errors, 0.5)};
}

namespace {

ErrorRow row_of(const std::string& kind, const std::string& phase, const std::string& size,
                const std::vector<const Comparison*>& members) {
  std::vector<double> errors;
  for (const Comparison* one : members)
    if (one->dropped.empty()) errors.push_back(one->error());
  const ErrorSummary summary = error_summary(errors);
  return {kind,           phase,       size,          summary.n,   int64_t(members.size()) - summary.n,
          summary.median, summary.p90, summary.worst, summary.bias};
}

std::string row_text(const ErrorRow& row, size_t kind_width, size_t size_width) {
  return fmt::format("{:<{}}  {:<9}  {:<{}}  {:>5}  {:>7}  {:>8}  {:>8}  {:>8}  {:>8}\n", row.kind, kind_width,
                     row.phase, row.size, size_width, row.n, row.dropped, percent(row, row.median, "{:.1f} %"),
                     percent(row, row.p90, "{:.1f} %"), percent(row, row.worst, "{:.1f} %"),
                     percent(row, row.bias, "{:+.1f} %"));
}

}  // namespace

ErrorTable error_table(std::span<const Comparison> compared) {
  std::map<RowKey, std::vector<const Comparison*>> rows;
  for (const Comparison& one : compared) rows[key_of(one)].push_back(&one);
  ErrorTable table;
  for (const auto& [key, members] : rows)
    table.errors.push_back(row_of(members[0]->kind, members[0]->phase, members[0]->size, members));
  return table;
}

std::vector<Comparison> taken_for(std::span<const Comparison> compared, std::span<const Comparison> other_machine) {
  std::map<std::string, std::deque<const Comparison*>> measured;  // in the order of the files
  const auto work = [](const Comparison& one) { return one.kind + "\n" + one.phase + "\n" + one.what; };
  for (const Comparison& one : other_machine) measured[work(one)].push_back(&one);
  std::vector<Comparison> taken;
  for (const Comparison& one : compared) {
    const auto same = measured.find(work(one));
    if (same == measured.end() || same->second.empty()) continue;
    const Comparison& other = *same->second.front();
    same->second.pop_front();
    taken.push_back(one);
    taken.back().predicted_us = other.measured_us;
    if (taken.back().dropped.empty()) taken.back().dropped = other.dropped;
  }
  return taken;
}

std::vector<ErrorRow> collective_rows(std::span<const Comparison> compared) {
  std::map<std::string, std::vector<const Comparison*>> all;
  std::map<std::pair<std::string, std::string>, std::vector<const Comparison*>> by_kind;
  for (const Comparison& one : compared) {
    if (one.bytes.empty()) continue;
    all[one.bytes].push_back(&one);
    by_kind[{one.kind, one.bytes}].push_back(&one);
  }
  std::vector<ErrorRow> rows;
  for (const auto& [bytes, members] : all) rows.push_back(row_of("collectives", "all", bytes, members));
  for (const auto& [key, members] : by_kind) rows.push_back(row_of(key.first, "all", key.second, members));
  return rows;
}

std::string beside_text(const ErrorTable& beside) {
  size_t kind_width = 0;
  for (const ErrorRow& row : beside.errors) kind_width = std::max(kind_width, row.kind.size());
  std::string out = "another machine of the kind in the place of the prediction:\n";
  for (const ErrorRow& row : beside.errors) out += row_text(row, kind_width, std::string("small").size());
  return out;
}

std::string error_table_text(const ErrorTable& table, std::span<const Comparison> compared,
                             const std::map<std::string, int64_t>& not_predicted) {
  std::vector<ErrorRow> rows = table.errors;
  const std::vector<ErrorRow> collectives = collective_rows(compared);
  rows.insert(rows.end(), collectives.begin(), collectives.end());
  size_t kind_width = 4;
  size_t size_width = 5;
  for (const ErrorRow& row : rows) {
    kind_width = std::max(kind_width, row.kind.size());
    size_width = std::max(size_width, row.size.size());
  }
  std::string out = fmt::format("{:<{}}  {:<9}  {:<{}}  {:>5}  {:>7}  {:>8}  {:>8}  {:>8}  {:>8}\n", "kind", kind_width,
                                "phase", "size", size_width, "n", "dropped", "median", "p90", "worst", "bias");
  for (const ErrorRow& row : rows) out += row_text(row, kind_width, size_width);
  std::map<std::string, int64_t> dropped;
  for (const Comparison& one : compared)
    if (!one.dropped.empty()) ++dropped[one.dropped];
  append_counts(out, "not predicted: ", not_predicted);
  append_counts(out, "dropped: ", dropped);
  return out;
}

std::string comparison_csv(std::span<const Comparison> compared) {
  std::string out = "file,record,kind,phase,size,what,measured_us,predicted_us,error,dropped\n";
  for (const Comparison& one : compared) {
    const bool is_predicted = one.predicted_us > 0;
    fmt::format_to(std::back_inserter(out), "{},{},{},{},{},{},{:.3f},{},{},{}\n", quoted(one.file), one.record,
                   quoted(one.kind), one.phase, one.size, quoted(one.what), one.measured_us,
                   is_predicted ? fmt::format("{:.3f}", one.predicted_us) : "",
                   is_predicted ? fmt::format("{:.6f}", one.error()) : "", quoted(one.dropped));
  }
  return out;
}

}  // namespace moesim
