#include "traces/stored_choices.h"

#include <algorithm>

namespace moesim {

int64_t dropped_marker(bool is_signed, size_t bytes, int64_t experts) {
  if (is_signed) return -1;
  if (bytes == 1 && experts <= 255) return 255;
  return kDropped;
}

bool fits_8_bits(const RoutingTrace& trace) {
  if (trace.experts <= 255) return true;
  return trace.experts == 256 && std::find(trace.ids.begin(), trace.ids.end(), kDropped) == trace.ids.end();
}

std::vector<uint8_t> choices_of_8_bits(const RoutingTrace& trace) {
  return {trace.ids.begin(), trace.ids.end()};  // kDropped keeps its low byte, which is the marker
}

std::optional<int64_t> append_choices(std::span<const int64_t> values, int64_t marker, std::vector<uint16_t>& ids) {
  for (const int64_t value : values) {
    if (value != marker && (value < 0 || value >= kTraceExpertsMax)) return value;
    ids.push_back(value == marker ? kDropped : uint16_t(value));
  }
  return {};
}

}  // namespace moesim
