// How files hold the choices of a trace: in 8 bits where they can, with a marker for kDropped.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "traces/routing_trace.h"

namespace moesim {

// 255 marks in 8 bits, except with 256 experts or more, where it is an expert's; 65535 marks in unsigned types of 16
// bits, and -1 in signed ones.
int64_t dropped_marker(bool is_signed, size_t bytes, int64_t experts);

// Whether 8 bits hold all choices and, where one is needed, the marker.
bool fits_8_bits(const RoutingTrace& trace);
std::vector<uint8_t> choices_of_8_bits(const RoutingTrace& trace);  // only of a trace that fits

// Appends choices as a file holds them. Stops at a number that can be no expert's, and returns it.
std::optional<int64_t> append_choices(std::span<const int64_t> values, int64_t marker, std::vector<uint16_t>& ids);

}  // namespace moesim
