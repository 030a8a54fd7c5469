#include "traces/trace_copy.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "sim/core/check.h"
#include "traces/npz.h"

namespace moesim {
namespace {

int64_t layer_number(const RoutingTrace& about, int64_t layer) {
  return about.layer_numbers.empty() ? layer : about.layer_numbers[size_t(layer)];
}

std::vector<int64_t> kept_layers(const RoutingTrace& about, const TraceSelection& selection) {
  std::vector<int64_t> kept;
  for (int64_t layer = 0; layer < about.layers; ++layer)
    if (!selection.layers || selection.layers->holds(layer_number(about, layer))) kept.push_back(layer);
  return kept;
}

bool keeps_token(const RoutingTrace& block, int64_t first_token, int64_t token, const TraceSelection& selection) {
  const size_t at = size_t(token);
  if (selection.tokens && !selection.tokens->holds(first_token + token)) return false;
  if (selection.requests && !selection.requests->holds(block.request[at])) return false;
  if (selection.steps && !selection.steps->holds(block.step[at])) return false;
  if (selection.warm_up_steps > 0 && block.step[at] < selection.warm_up_steps) return false;
  return !selection.domain || block.domain[at] == *selection.domain;
}

}  // namespace

bool NumberRanges::holds(int64_t number) const {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const auto& range) { return range.first <= number && number <= range.second; });
}

std::optional<NumberRanges> parse_number_ranges(const std::string& text) {
  NumberRanges parsed;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto number = [&](int64_t& value) {
    const auto [after, error] = std::from_chars(at, end, value);
    at = after;
    return error == std::errc() && value >= 0;
  };
  for (;;) {
    int64_t first = 0;
    if (!number(first)) return {};
    int64_t last = first;
    if (at != end && *at == '-') {
      ++at;
      if (!number(last) || last < first) return {};
    }
    parsed.ranges.emplace_back(first, last);
    if (at == end) return parsed;
    if (*at++ != ',') return {};
  }
}

std::vector<Fault> check_selection(const TraceSelection& selection, const TraceHead& head) {
  std::vector<Fault> faults;
  const auto needs = [&](bool asked, const char* option, const char* column) {
    if (asked && !has_column(head, column))
      faults.push_back({0, option, fmt::format("the trace does not record /{}", column)});
  };
  needs(selection.requests.has_value(), "--requests", "request");
  needs(selection.steps.has_value(), "--steps", "step");
  needs(selection.warm_up_steps > 0, "--warm-up-steps", "step");
  needs(selection.domain.has_value(), "--domain", "domain");
  if (kept_layers(head.about, selection).empty()) faults.push_back({0, "--layers", "the trace has none of them"});
  return faults;
}

TraceHead selected_head(const TraceHead& head, const TraceSelection& selection) {
  TraceHead kept = head;
  kept.about.tokens = 0;
  const std::vector<int64_t> layers = kept_layers(head.about, selection);
  if (int64_t(layers.size()) == head.about.layers) return kept;
  kept.about.layers = int64_t(layers.size());
  kept.about.layer_numbers.clear();
  for (const int64_t layer : layers) kept.about.layer_numbers.push_back(int32_t(layer_number(head.about, layer)));
  return kept;
}

RoutingTrace selected(const RoutingTrace& block, int64_t first_token, const TraceHead& head,
                      const TraceSelection& selection) {
  const std::vector<int64_t> layers = kept_layers(head.about, selection);
  std::vector<int64_t> tokens;
  for (int64_t token = 0; token < block.tokens; ++token)
    if (keeps_token(block, first_token, token, selection)) tokens.push_back(token);
  if (int64_t(tokens.size()) == block.tokens && int64_t(layers.size()) == block.layers) return block;

  RoutingTrace kept = tokens_of(block, {0, 0});
  kept.tokens = int64_t(tokens.size());
  kept.layers = int64_t(layers.size());
  for (const int64_t token : tokens) {
    for (const int64_t layer : layers) {
      const auto chosen = choices(block, token, layer);
      kept.ids.insert(kept.ids.end(), chosen.begin(), chosen.end());
      if (block.gate.empty()) continue;
      const auto weights = gate_weights(block, token, layer);
      kept.gate.insert(kept.gate.end(), weights.begin(), weights.end());
    }
    for (size_t column = 0; column < kTraceColumns; ++column)
      if (const auto& from = *columns(block)[column].values; !from.empty())
        columns(kept)[column].values->push_back(from[size_t(token)]);
  }
  return kept;
}

void append_tokens(RoutingTrace& trace, const RoutingTrace& block) {
  trace.tokens += block.tokens;
  trace.ids.insert(trace.ids.end(), block.ids.begin(), block.ids.end());
  trace.gate.insert(trace.gate.end(), block.gate.begin(), block.gate.end());
  for (size_t column = 0; column < kTraceColumns; ++column) {
    const auto& from = *columns(block)[column].values;
    columns(trace)[column].values->insert(columns(trace)[column].values->end(), from.begin(), from.end());
  }
}

TraceSink::TraceSink(const TraceHead& head, const std::string& path) : path_(path) {
  if (path.ends_with(".npz")) {
    memory_ = std::make_unique<RoutingTrace>(head.about);
    memory_->tokens = 0;
  } else {
    file_ = std::make_unique<TraceWriter>(head, path);
  }
}

void TraceSink::append(const RoutingTrace& block) {
  if (block.tokens == 0) return;
  tokens_ += block.tokens;
  if (file_) return file_->append(block);
  RoutingTrace& all = *memory_;
  if (tokens_ * all.layers * all.top_k > kTraceChoicesMax)
    throw ConfigError(
        path_, fmt::format("an .npz may hold {} choices; write HDF5, which has no such limit", kTraceChoicesMax));
  append_tokens(all, block);
}

void TraceSink::finish() {
  if (tokens_ == 0) throw ConfigError(path_, "would hold no token: nothing is left of the trace");
  if (file_) return file_->finish();
  write_npz_trace(*memory_, path_);
}

}  // namespace moesim
