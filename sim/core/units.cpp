#include "sim/core/units.h"

#include <cmath>

#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr double kPicosecondsMax = 9.2e18;  // just below 2^63

Duration round_up(double picoseconds) {
  CHECK(picoseconds >= 0);  // also refuses NaN
  CHECK(picoseconds < kPicosecondsMax);
  return {int64_t(std::ceil(picoseconds))};
}

}  // namespace

Duration duration_of_seconds(double seconds) { return round_up(seconds * 1e12); }

Duration transfer_time(Bytes size, Rate rate) {
  CHECK(size.count >= 0);
  if (size.count == 0) return {};
  CHECK(rate.bytes_per_s > 0);
  return round_up(double(size.count) * 1e12 / rate.bytes_per_s);
}

}  // namespace moesim
