// 16-bit floats, which neither compiler has as a type of the language: what files of gate weights hold.
#pragma once

#include <bit>
#include <cstdint>

namespace moesim {

// Exact.
constexpr float float_of_half(uint16_t half) {
  const uint32_t sign = uint32_t(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1Fu;
  const uint32_t mantissa = half & 0x3FFu;
  if (exponent == 0) {  // zero and subnormal: mantissa * 2^-24
    const float magnitude = float(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const uint32_t widened = exponent == 31 ? 255u : exponent + 112;  // infinities and NaNs keep theirs full
  return std::bit_cast<float>(sign | (widened << 23) | (mantissa << 13));
}

// Toward zero, and too large a magnitude to infinity. So float_of_half(half_of_float(x)) == x exactly when x is a half.
constexpr uint16_t half_of_float(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = uint16_t((bits >> 16) & 0x8000u);
  const uint32_t exponent = (bits >> 23) & 0xFFu;
  const uint32_t mantissa = bits & 0x7FFFFFu;
  if (exponent == 255) return uint16_t(sign | 0x7C00u | (mantissa ? 0x200u : 0));
  if (exponent >= 143) return uint16_t(sign | 0x7C00u);  // 65536 and more
  if (exponent >= 113) return uint16_t(sign | ((exponent - 112) << 10) | (mantissa >> 13));
  if (exponent < 103) return sign;                                       // below 2^-24
  return uint16_t(sign | ((mantissa | 0x800000u) >> (126 - exponent)));  // subnormal
}

}  // namespace moesim
