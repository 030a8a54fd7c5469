#include "traces/routing_trace.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace moesim {
namespace {

template <class T, class Trace>
std::array<NamedArray<T>, kTraceColumns> columns_of(Trace& trace) {
  return {{{"token", &trace.token},
           {"request", &trace.request},
           {"position", &trace.position},
           {"phase", &trace.phase},
           {"step", &trace.step},
           {"rank", &trace.rank},
           {"domain", &trace.domain}}};
}

void check_range(const char* what, int64_t value, int64_t low, int64_t high, std::vector<Fault>& faults) {
  if (value < low || value > high)
    faults.push_back({0, "", fmt::format("{} are {}, but must be {} to {}", what, value, low, high)});
}

void check_length(const char* name, size_t found, int64_t expected, std::vector<Fault>& faults) {
  if (found != size_t(expected))
    faults.push_back({0, fmt::format("/{}", name), fmt::format("has {} values, but must have {}", found, expected)});
}

// Reports the first choice that is no expert and the first that comes twice, each with how many more there are.
void check_choices(const RoutingTrace& trace, int64_t first_token, std::vector<Fault>& faults) {
  std::vector<int64_t> chosen_by(size_t(trace.experts), -1);  // the last choice (token and layer) that named the expert
  int64_t outside = 0;
  int64_t twice = 0;
  std::string first_outside;
  std::string first_twice;
  for (int64_t at = 0; at < trace.tokens * trace.layers; ++at)
    for (const uint16_t expert : choices(trace, 0, at)) {
      if (expert == kDropped) continue;
      const auto place = [&] {
        return fmt::format("token {}, layer {}", first_token + at / trace.layers, at % trace.layers);
      };
      if (expert >= trace.experts) {
        if (outside++ == 0)
          first_outside = fmt::format("{} chooses expert {}, but there are {}", place(), expert, trace.experts);
      } else if (chosen_by[expert] == at) {
        if (twice++ == 0) first_twice = fmt::format("{} chooses expert {} twice", place(), expert);
      } else {
        chosen_by[expert] = at;
      }
    }
  const auto report = [&](const std::string& first, int64_t count) {
    if (count == 0) return;
    faults.push_back({0, "/ids", count == 1 ? first : fmt::format("{} (and {} more such choices)", first, count - 1)});
  };
  report(first_outside, outside);
  report(first_twice, twice);
}

void check_gate(const RoutingTrace& trace, int64_t first_token, std::vector<Fault>& faults) {
  const auto bad =
      std::find_if(trace.gate.begin(), trace.gate.end(), [](float w) { return !std::isfinite(w) || w < 0; });
  if (bad == trace.gate.end()) return;
  const int64_t token = first_token + (bad - trace.gate.begin()) / (trace.layers * trace.top_k);
  faults.push_back(
      {0, "/gate", fmt::format("token {} has the weight {}, which is negative or not finite", token, *bad)});
}

void check_column(const char* name, const std::vector<int32_t>& values, int64_t end, int64_t first_token,
                  std::vector<Fault>& faults) {
  const auto bad = std::find_if(values.begin(), values.end(), [&](int32_t value) { return value < 0 || value >= end; });
  if (bad == values.end()) return;
  faults.push_back(
      {0, fmt::format("/{}", name),
       fmt::format("token {} has {}, but it must be 0 to {}", first_token + (bad - values.begin()), *bad, end - 1)});
}

// All counts but the choices of the whole trace.
std::vector<Fault> check_counts(const RoutingTrace& trace, int64_t tokens_max) {
  std::vector<Fault> faults;
  check_range("tokens", trace.tokens, 1, tokens_max, faults);
  check_range("layers", trace.layers, 1, kTraceLayersMax, faults);
  check_range("experts", trace.experts, 1, kTraceExpertsMax, faults);
  check_range("zero_experts", trace.zero_experts, 0, kTraceExpertsMax, faults);
  check_range("choices a token (top_k)", trace.top_k, 1, kTraceTopKMax, faults);
  if (!faults.empty()) return faults;
  check_range("choices of one token (layers x top_k)", trace.layers * trace.top_k, 1, kTraceRowMax, faults);
  if (trace.top_k > trace.experts + trace.zero_experts)
    faults.push_back(
        {0, "", fmt::format("top_k is {}, but there are {} experts", trace.top_k, trace.experts + trace.zero_experts)});
  return faults;
}

}  // namespace

std::array<NamedArray<std::vector<int32_t>>, kTraceColumns> columns(RoutingTrace& trace) {
  return columns_of<std::vector<int32_t>>(trace);
}

std::array<NamedArray<const std::vector<int32_t>>, kTraceColumns> columns(const RoutingTrace& trace) {
  return columns_of<const std::vector<int32_t>>(trace);
}

std::vector<Fault> check_shape(const RoutingTrace& trace) {
  std::vector<Fault> faults = check_counts(trace, kTraceTokensMax);
  if (faults.empty())
    check_range("choices (tokens x layers x top_k)", trace.tokens * trace.layers * trace.top_k, 1, kTraceChoicesMax,
                faults);
  return faults;
}

std::vector<Fault> check_streamed_shape(const RoutingTrace& trace) {
  std::vector<Fault> faults = check_counts(trace, kStreamedTokensMax);
  if (!trace.layer_numbers.empty()) check_length("layer_numbers", trace.layer_numbers.size(), trace.layers, faults);
  return faults;
}

std::vector<Fault> check_block(const RoutingTrace& block, bool has_ids, int64_t first_token) {
  std::vector<Fault> faults;
  const int64_t all = block.tokens * block.layers * block.top_k;
  check_length("ids", block.ids.size(), has_ids ? all : 0, faults);
  if (!block.gate.empty()) check_length("gate", block.gate.size(), all, faults);
  for (const auto& column : columns(block))
    if (!column.values->empty()) check_length(column.name, column.values->size(), block.tokens, faults);
  if (!faults.empty()) return faults;

  if (has_ids) check_choices(block, first_token, faults);
  check_gate(block, first_token, faults);
  const auto end_of = [&](const std::vector<int32_t>* values) -> int64_t {
    if (values == &block.phase) return int64_t(Phase::decode) + 1;
    if (values == &block.domain && !block.domains.empty()) return int64_t(block.domains.size());
    return int64_t{1} << 31;
  };
  for (const auto& column : columns(block))
    check_column(column.name, *column.values, end_of(column.values), first_token, faults);
  return faults;
}

std::vector<Fault> check_trace(const RoutingTrace& trace) {
  std::vector<Fault> faults = check_shape(trace);
  if (!faults.empty()) return faults;
  if (!trace.layer_numbers.empty()) check_length("layer_numbers", trace.layer_numbers.size(), trace.layers, faults);
  for (Fault& fault : check_block(trace, true, 0)) faults.push_back(std::move(fault));
  return faults;
}

}  // namespace moesim
