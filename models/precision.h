// Number formats of weights, activations and caches.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "sim/core/units.h"

namespace moesim {

enum class Precision { bf16, fp8, int8, fp4, int4 };

constexpr auto enum_names(Precision) {
  return std::to_array<std::pair<Precision, const char*>>({{Precision::bf16, "bf16"},
                                                           {Precision::fp8, "fp8"},
                                                           {Precision::int8, "int8"},
                                                           {Precision::fp4, "fp4"},
                                                           {Precision::int4, "int4"}});
}

// The scales of block formats are left out: one 16-bit scale for 128 values adds 3 % to int4 and 2 % to fp8.
constexpr int64_t bits_of(Precision precision) {
  switch (precision) {
    case Precision::bf16:
      return 16;
    case Precision::fp8:
    case Precision::int8:
      return 8;
    case Precision::fp4:
    case Precision::int4:
      return 4;
  }
  return 16;
}

// Rounds up to whole bytes.
constexpr Bytes bytes_of(int64_t values, Precision precision) { return {(values * bits_of(precision) + 7) / 8}; }

}  // namespace moesim
