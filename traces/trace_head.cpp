#include "traces/trace_head.h"

#include <algorithm>

#include "sim/core/check.h"
#include "traces/half.h"
#include "traces/stored_choices.h"

namespace moesim {

TraceHead head_of(const RoutingTrace& trace) {
  TraceHead head;
  head.about = RoutingTrace{};
  head.about.tokens = trace.tokens;
  head.about.layers = trace.layers;
  head.about.top_k = trace.top_k;
  head.about.experts = trace.experts;
  head.about.zero_experts = trace.zero_experts;
  head.about.model = trace.model;
  head.about.source = trace.source;
  head.about.recorded = trace.recorded;
  head.about.layer_numbers = trace.layer_numbers;
  head.about.domains = trace.domains;
  head.about.notes = trace.notes;
  if (!trace.gate.empty())
    head.gate = std::all_of(trace.gate.begin(), trace.gate.end(),
                            [](float weight) { return float_of_half(half_of_float(weight)) == weight; })
                    ? GateWidth::half
                    : GateWidth::single;
  head.ids_bytes = fits_8_bits(trace) ? 1 : 2;
  for (size_t column = 0; column < kTraceColumns; ++column) head.has[column] = !columns(trace)[column].values->empty();
  head.chunk_tokens = std::max<int64_t>(1, trace.tokens);
  return head;
}

size_t column_index(std::string_view name) {
  const RoutingTrace none;
  const auto all = columns(none);
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& column) { return column.name == name; });
  CHECK(found != all.end());
  return size_t(found - all.begin());
}

TraceParts only_column(std::string_view name) {
  TraceParts parts{false, false, {}};
  parts.columns[column_index(name)] = true;
  return parts;
}

}  // namespace moesim
