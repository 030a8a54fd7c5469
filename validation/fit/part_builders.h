// What the parts of a fit are made of; for the sources of fit_parts() alone.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "validation/fit/fit_parts.h"

namespace moesim {

template <class Record>
const Record* as(const Measurement& measurement) {
  return std::get_if<Record>(&measurement.what);
}

// Of a kernel alone: the least there is, and in eager execution the host's share.
double kernel_noise(const Measurement& measurement);

// All numbers of a kernel's parameters, so that one more in fields() is fitted without a word here.
std::vector<FitParameter> all_below(const DeviceProfile& profile, const std::string& below);

// The tiles of a library differ in shape alone: rates of each by itself are not told apart by what is measured, which
// is the fastest tile's time.
std::vector<FitParameter> with_tied_tiles(std::vector<FitParameter> parameters);

std::vector<Alternative> whole_numbers(const std::string& path, const std::vector<int64_t>& values);

}  // namespace moesim
