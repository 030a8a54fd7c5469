#include <fmt/core.h>

#include <algorithm>

#include "sim/core/check.h"
#include "traces/trace_copy.h"

namespace moesim {
namespace {

// The place of a name in a list, to which it is added where it is not there.
int32_t place_of(std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return int32_t(found - names.begin());
  names.push_back(name);
  return int32_t(names.size()) - 1;
}

// Takes away what the merged trace does not have.
void keep_arrays(const TraceHead& head, RoutingTrace& block) {
  if (head.gate == GateWidth::none) block.gate.clear();
  for (size_t column = 0; column < kTraceColumns; ++column)
    if (!head.has[column]) columns(block)[column].values->clear();
}

// Numbers of the traces before a trace are below `next`; moves its own above them and follows the largest.
void shift(std::vector<int32_t>& numbers, int64_t next, int64_t& largest, const std::string& source, const char* name) {
  for (int32_t& number : numbers) {
    if (number + next > INT32_MAX)
      throw ConfigError(source,
                        fmt::format("/{}: numbers do not fit in 32 bits after those of the traces before", name));
    number = int32_t(number + next);
    largest = std::max<int64_t>(largest, number);
  }
}

void check_same_shape(const TraceInput& first, const TraceInput& other, std::vector<Fault>& faults) {
  const RoutingTrace& a = first.head().about;
  const RoutingTrace& b = other.head().about;
  const auto same = [&](const char* what, int64_t has, int64_t wanted) {
    if (has != wanted)
      faults.push_back(
          {0, "", fmt::format("has {} {}, but {} has {}", has, what, first.source(), wanted), other.source()});
  };
  same("layers", b.layers, a.layers);
  same("choices a token", b.top_k, a.top_k);
  same("experts", b.experts, a.experts);
  same("zero-computation experts", b.zero_experts, a.zero_experts);
  if (a.layers == b.layers && a.layer_numbers != b.layer_numbers)
    faults.push_back({0, "", fmt::format("numbers its layers otherwise than {}", first.source()), other.source()});
}

// What is told of all of them, or "" where they differ.
void keep_if_same(std::string& text, const std::string& other) {
  if (text != other) text.clear();
}

}  // namespace

TraceHead merged_head(const std::vector<std::unique_ptr<TraceInput>>& inputs) {
  CHECK(!inputs.empty());
  std::vector<Fault> faults;
  for (const auto& input : inputs) check_same_shape(*inputs[0], *input, faults);
  throw_if_any("merge", std::move(faults));
  TraceHead head = inputs[0]->head();
  head.about.tokens = 0;
  bool named = true;
  for (const auto& input : inputs) {
    const TraceHead& other = input->head();
    keep_if_same(head.about.model, other.about.model);
    keep_if_same(head.about.source, other.about.source);
    keep_if_same(head.about.recorded, other.about.recorded);
    head.gate = head.gate == GateWidth::none || other.gate == GateWidth::none ? GateWidth::none
                                                                              : std::max(head.gate, other.gate);
    head.ids_bytes = std::max(head.ids_bytes, other.ids_bytes);
    for (size_t column = 0; column < kTraceColumns; ++column) head.has[column] = head.has[column] && other.has[column];
    for (const std::string& name : other.about.domains) place_of(head.about.domains, name);
    named = named && !other.about.domains.empty();
  }
  if (!named) head.about.domains.clear();
  return head;
}

void merge_traces(const std::vector<std::unique_ptr<TraceInput>>& inputs, const TraceHead& head, TraceSink& sink) {
  int64_t next_request = 0;
  int64_t next_step = 0;
  std::vector<std::string> domains = head.about.domains;
  for (const auto& input : inputs) {
    int64_t request_largest = next_request - 1;
    int64_t step_largest = next_step - 1;
    std::vector<int32_t> domain_of;
    for (const std::string& name : input->head().about.domains) domain_of.push_back(place_of(domains, name));
    input->for_each_block({}, [&](const RoutingTrace& block, int64_t) {
      RoutingTrace moved = block;
      keep_arrays(head, moved);
      shift(moved.request, next_request, request_largest, input->source(), "request");
      shift(moved.step, next_step, step_largest, input->source(), "step");
      for (int32_t& domain : moved.domain)
        if (!head.about.domains.empty()) domain = domain_of[size_t(domain)];
      sink.append(moved);
    });
    next_request = request_largest + 1;
    next_step = step_largest + 1;
  }
}

}  // namespace moesim
