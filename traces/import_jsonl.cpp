#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "traces/trace_import.h"

namespace moesim {
namespace {

using Json = nlohmann::json;

constexpr size_t kLineMax = size_t{1} << 28;
constexpr size_t kFaultsMax = 20;

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

int32_t integer(const Json& value, const char* name) {
  const bool too_large = value.is_number_unsigned() && value.get<uint64_t>() > uint64_t(INT32_MAX);
  if (!value.is_number_integer() || too_large || value.get<int64_t>() != int32_t(value.get<int64_t>()))
    refuse(fmt::format("\"{}\" must be a whole number of 32 bits", name));
  return value.get<int32_t>();
}

const Json::array_t& list(const Json& value, const char* name) {
  if (!value.is_array()) refuse(fmt::format("\"{}\" must be a list", name));
  return value.get_ref<const Json::array_t&>();
}

// What has been read; which columns all rows have is known at the end.
struct Rows {
  RoutingTrace trace;

  // Ids of one token and layer; negative ones are no choice.
  void add_choices(const Json& chosen) {
    if (trace.top_k == 0) trace.top_k = int64_t(list(chosen, "experts").size());
    if (int64_t(list(chosen, "experts").size()) != trace.top_k || trace.top_k == 0)
      refuse(fmt::format("a layer has {} experts, but the first has {}", chosen.size(), trace.top_k));
    for (const Json& id : chosen) {
      const int32_t expert = integer(id, "experts");
      if (expert >= kTraceExpertsMax) refuse(fmt::format("{} is no expert", expert));
      trace.ids.push_back(expert < 0 ? kDropped : uint16_t(expert));
    }
  }

  void check_layers(size_t layers) {
    if (trace.layers == 0) trace.layers = int64_t(layers);
    if (layers == 0 || int64_t(layers) != trace.layers)
      refuse(fmt::format("has {} layers, but the first line has {}", layers, trace.layers));
  }

  // A number in a column, which comes with the row that was begun last.
  void add(std::vector<int32_t>& column, int64_t row, int32_t value) {
    if (int64_t(column.size()) == row) column.push_back(value);
  }
};

void add_gate(const Json& gate, int64_t row, Rows& rows) {
  RoutingTrace& trace = rows.trace;
  const size_t row_values = size_t(trace.layers * trace.top_k);
  if (trace.gate.size() != size_t(row) * row_values) return;
  for (const Json& layer : list(gate, "gate"))
    for (const Json& weight : list(layer, "gate")) {
      if (!weight.is_number()) refuse("\"gate\" must hold numbers");
      trace.gate.push_back(weight.get<float>());
    }
  if (trace.gate.size() != size_t(row + 1) * row_values) refuse("\"gate\" must have the shape of \"experts\"");
}

int32_t phase_of(const Json& value) {
  if (value == "prompt" || value == "prefill") return int32_t(Phase::prompt);
  if (value == "decode") return int32_t(Phase::decode);
  return integer(value, "phase");
}

void add_token(const Json& line, Rows& rows) {
  RoutingTrace& trace = rows.trace;
  const Json::array_t& experts = list(line["experts"], "experts");
  rows.check_layers(experts.size());
  for (const Json& layer : experts) rows.add_choices(layer);
  const int64_t row = trace.tokens++;
  for (const auto& column : columns(trace)) {
    const auto found = line.find(column.name);
    if (found == line.end()) continue;
    const bool is_phase = column.values == &trace.phase;
    rows.add(*column.values, row, is_phase ? phase_of(*found) : integer(*found, column.name));
  }
  if (line.contains("gate")) add_gate(line["gate"], row, rows);
  // A marked row becomes one that an import drops.
  if (line.value("warmup", false)) std::fill(trace.ids.end() - trace.layers * trace.top_k, trace.ids.end(), kDropped);
}

// A pass of SGLang's recorder: [layers][tokens][k].
void add_pass(const Json& line, Rows& rows) {
  RoutingTrace& trace = rows.trace;
  const Json::array_t& by_layer = list(line["topk_ids_of_layer"], "topk_ids_of_layer");
  rows.check_layers(by_layer.size());
  const size_t tokens = list(by_layer[0], "topk_ids_of_layer").size();
  for (const Json& layer : by_layer)
    if (list(layer, "topk_ids_of_layer").size() != tokens)
      refuse("\"topk_ids_of_layer\" must have equally many tokens in each layer");
  for (size_t token = 0; token < tokens; ++token) {
    for (const Json& layer : by_layer) rows.add_choices(layer[token]);
    const int64_t row = trace.tokens++;
    for (const auto& [name, column] : {std::pair("input_ids", &trace.token), std::pair("positions", &trace.position)})
      if (const auto found = line.find(name); found != line.end()) {
        if (list(*found, name).size() != tokens) refuse(fmt::format("\"{}\" must have {} values", name, tokens));
        rows.add(*column, row, integer((*found)[token], name));
      }
    if (line.contains("forward_pass_id"))
      rows.add(trace.step, row, integer(line["forward_pass_id"], "forward_pass_id"));
    if (line.contains("rank")) rows.add(trace.rank, row, integer(line["rank"], "rank"));
    if (line.contains("forward_mode"))  // 1 extends, 2 decodes
      rows.add(trace.phase, row, line["forward_mode"] == 2 ? int32_t(Phase::decode) : int32_t(Phase::prompt));
  }
}

void describe(const Json& about, RoutingTrace& trace) {
  if (about.contains("experts")) trace.experts = integer(about["experts"], "experts");
  if (about.contains("zero_experts")) trace.zero_experts = integer(about["zero_experts"], "zero_experts");
  trace.model = about.value("model", "");
  trace.source = about.value("source", "");
  trace.recorded = about.value("recorded", "");
  if (about.contains("domains")) trace.domains = about["domains"].get<std::vector<std::string>>();
}

void add_line(std::string_view text, Rows& rows) {
  const Json line = Json::parse(text, nullptr, false);
  if (line.is_discarded()) refuse("is no JSON");
  if (!line.is_object()) refuse("must be an object");
  if (line.contains("trace")) return describe(line["trace"], rows.trace);
  if (line.contains("topk_ids_of_layer")) return add_pass(line, rows);
  if (line.contains("experts")) return add_token(line, rows);
  refuse("has neither \"experts\" nor \"topk_ids_of_layer\"");
}

}  // namespace

RoutingTrace parse_jsonl_rows(std::span<const std::byte> bytes, const std::string& source) {
  std::string_view left(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  Rows rows;
  std::vector<Fault> faults;
  for (int line = 1; !left.empty() && faults.size() < kFaultsMax; ++line) {
    const std::string_view text = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(left.size(), text.size() + 1));
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    try {
      if (text.size() > kLineMax) refuse("is too long");
      add_line(text, rows);
    } catch (const std::invalid_argument& fault) {
      faults.push_back({line, "", fault.what()});
    } catch (const Json::exception& fault) {
      faults.push_back({line, "", fault.what()});
    }
    if (int64_t(rows.trace.ids.size()) > kTraceChoicesMax) throw ConfigError(source, "holds too many choices");
  }
  if (faults.empty() && rows.trace.tokens == 0)
    faults.push_back({0, "", fmt::format("holds no token in {} bytes", bytes.size())});
  if (!faults.empty()) throw ConfigError(source, faults);
  RoutingTrace& trace = rows.trace;
  for (const auto& column : columns(trace))  // what not every row has is not recorded
    if (int64_t(column.values->size()) != trace.tokens) column.values->clear();
  if (trace.gate.size() != trace.ids.size()) trace.gate.clear();
  return std::move(trace);
}

}  // namespace moesim
