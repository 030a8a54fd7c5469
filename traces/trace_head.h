// What is known of a routing trace before its arrays are read: enough to walk through one that is larger than memory.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "traces/routing_trace.h"

namespace moesim {

// How a file holds gate weights.
enum class GateWidth : int32_t { none, half, single };

struct TraceHead {
  RoutingTrace about;                     // all but the arrays, which are empty
  GateWidth gate = GateWidth::none;       // of /gate; wider floats are read as single ones
  int64_t ids_bytes = 2;                  // 1 where a file can hold each choice in 8 bits
  std::array<bool, kTraceColumns> has{};  // which of columns() are recorded
  int64_t chunk_tokens = 1;               // of /ids in the file: reading whole chunks reads nothing twice
};

// Arrays to read; what is not recorded is not read either.
struct TraceParts {
  bool ids = true;
  bool gate = true;
  std::array<bool, kTraceColumns> columns{true, true, true, true, true, true, true};
};

TraceHead head_of(const RoutingTrace& trace);

// The place of a column in columns(), by its name.
size_t column_index(std::string_view name);

inline bool has_column(const TraceHead& head, std::string_view name) { return head.has[column_index(name)]; }

// Only the one column.
TraceParts only_column(std::string_view name);

}  // namespace moesim
