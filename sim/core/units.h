// Units are types: a time is not a count of bytes, and a bare number is neither.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

#include "sim/core/check.h"

namespace moesim {

// CHECKs that the sum fits.
constexpr int64_t checked_sum(int64_t a, int64_t b) {
  int64_t sum = 0;
  CHECK(!__builtin_add_overflow(a, b, &sum));
  return sum;
}

// A length of simulated time, in whole picoseconds. 64 bits span 106 days.
struct Duration {
  int64_t ps = 0;
  friend constexpr auto operator<=>(Duration, Duration) = default;
  friend constexpr Duration operator+(Duration a, Duration b) { return {checked_sum(a.ps, b.ps)}; }
  friend constexpr Duration operator-(Duration a, Duration b) { return {a.ps - b.ps}; }
  friend constexpr Duration operator*(int64_t times, Duration d) { return {times * d.ps}; }
  constexpr Duration& operator+=(Duration d) { return *this = *this + d; }
  constexpr double seconds() const { return double(ps) * 1e-12; }
};

// A point in simulated time. Two Times subtract to a Duration; adding them does not compile.
struct Time {
  int64_t ps = 0;
  friend constexpr auto operator<=>(Time, Time) = default;
  friend constexpr Time operator+(Time t, Duration d) { return {checked_sum(t.ps, d.ps)}; }
  friend constexpr Duration operator-(Time a, Time b) { return {a.ps - b.ps}; }
  constexpr double seconds() const { return double(ps) * 1e-12; }
};

// A number of bytes.
struct Bytes {
  int64_t count = 0;
  friend constexpr auto operator<=>(Bytes, Bytes) = default;
  friend constexpr Bytes operator+(Bytes a, Bytes b) { return {a.count + b.count}; }
  friend constexpr Bytes operator-(Bytes a, Bytes b) { return {a.count - b.count}; }
  friend constexpr Bytes operator*(int64_t times, Bytes b) { return {times * b.count}; }
  constexpr Bytes& operator+=(Bytes b) { return count += b.count, *this; }
};

// Bytes per second.
struct Rate {
  double bytes_per_s = 0;
  friend constexpr auto operator<=>(Rate, Rate) = default;
};

// Floating-point (or integer) operations per second; a multiply-add counts as two.
struct FlopRate {
  double flop_per_s = 0;
  friend constexpr auto operator<=>(FlopRate, FlopRate) = default;
};

// A part of a whole, which users write in per cent: 0.01 is "1%".
struct Percentage {
  double fraction = 0;
  friend constexpr auto operator<=>(Percentage, Percentage) = default;
};

inline namespace literals {
constexpr Duration operator""_ps(unsigned long long n) { return {int64_t(n)}; }
constexpr Duration operator""_ns(unsigned long long n) { return {int64_t(n) * 1'000}; }
constexpr Duration operator""_us(unsigned long long n) { return {int64_t(n) * 1'000'000}; }
constexpr Duration operator""_ms(unsigned long long n) { return {int64_t(n) * 1'000'000'000}; }
constexpr Duration operator""_s(unsigned long long n) { return {int64_t(n) * 1'000'000'000'000}; }
constexpr Bytes operator""_B(unsigned long long n) { return {int64_t(n)}; }
constexpr Bytes operator""_KiB(unsigned long long n) { return {int64_t(n) << 10}; }
constexpr Bytes operator""_MiB(unsigned long long n) { return {int64_t(n) << 20}; }
constexpr Bytes operator""_GiB(unsigned long long n) { return {int64_t(n) << 30}; }
constexpr Rate operator""_GBps(unsigned long long n) { return {double(n) * 1e9}; }
constexpr Rate operator""_Gbps(unsigned long long n) { return {double(n) * 1e9 / 8}; }
}  // namespace literals

// Seconds to picoseconds, rounded up. CHECKs that the result fits and is not negative.
Duration duration_of_seconds(double seconds);

// Rounds up to within one picosecond, so that a transfer is never reported done before its last byte has left.
// CHECKs that the result fits: a byte over a rate of zero is a scenario error, found before any run.
Duration transfer_time(Bytes size, Rate rate);

// A strong id is an enum class over an integer; index() is what subscripts a vector with it.
template <class Id>
constexpr size_t index(Id id) {
  return static_cast<size_t>(id);
}

}  // namespace moesim
