// Numbers of a device profile by their path ("kernels/grouped_gemm/tiles/0/compute"), in the unit in which the profile
// keeps them: picoseconds, bytes per second, flops per second, or none.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/device_profile.h"

namespace moesim {

// Whether the path leads to a number, once optional members on the way are there.
bool is_profile_path(const std::string& path);

// Absent where an optional member on the way is. CHECKs the path; an index beyond a list's end is absent too.
std::optional<double> profile_value(const DeviceProfile& profile, const std::string& path);

// The paths of all numbers below that may take any value in a range (times, rates, fractions and other reals, no
// counts), in the order of fields(). What an absent optional member would hold is left out.
std::vector<std::string> numbers_below(const DeviceProfile& profile, const std::string& path);

// Optional members on the way come to be. Picoseconds and counts are rounded to whole ones.
void set_profile_value(DeviceProfile& profile, const std::string& path, double value);

// To four significant digits, as a decimal number: the last digits of a fit are noise. Done before errors are
// computed, so that they are those of the profile as it is written.
double rounded(double value);

// The range that fields() declares; an absent end is 0 or infinite.
struct ValueRange {
  double low = 0;
  double high = 0;
};
ValueRange profile_range(const std::string& path);

}  // namespace moesim
