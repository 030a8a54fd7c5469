// Quantities as text with a unit: "400 Gb/s", "80 GiB", "1.5 us", "989 Tflop/s", "1%".
#pragma once

#include <string>
#include <string_view>

#include "sim/core/units.h"

namespace moesim {

// What the messages, the schema and the documentation say about one kind of quantity.
struct QuantityKind {
  const char* noun;      // "rate"
  const char* examples;  // "\"400 Gb/s\" or \"50 GB/s\""
  const char* pattern;   // a regular expression (ECMA 262) of all that is accepted, as far as an expression can tell
};

const QuantityKind& quantity_kind(Duration);
const QuantityKind& quantity_kind(Bytes);
const QuantityKind& quantity_kind(Rate);
const QuantityKind& quantity_kind(FlopRate);
const QuantityKind& quantity_kind(Percentage);

// Each returns what is wrong with the text, or "" after setting the value. Prefixes are decimal (k M G T P E) or binary
// (Ki Mi Gi Ti Pi Ei); b is a bit and B a byte. Durations and sizes are computed exactly and rounded up to a whole
// picosecond or byte; rates are the nearest double.
std::string parse_quantity(std::string_view text, Duration& value);
std::string parse_quantity(std::string_view text, Bytes& value);
std::string parse_quantity(std::string_view text, Rate& value);
std::string parse_quantity(std::string_view text, FlopRate& value);
std::string parse_quantity(std::string_view text, Percentage& value);

// One canonical text a value, which parses to exactly that value. The value may be neither negative nor infinite.
std::string quantity_text(Duration value);
std::string quantity_text(Bytes value);
std::string quantity_text(Rate value);
std::string quantity_text(FlopRate value);
std::string quantity_text(Percentage value);

}  // namespace moesim
