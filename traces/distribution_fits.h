// How well laws describe a load: Zipf's, and the log-normal.
#pragma once

#include <cstdint>
#include <span>

namespace moesim {

// Over the experts with any load, sorted downward. Errors are root mean squares of ln(load) - ln(fit), so that 0.1 is
// about 10 % and the two can be compared.
struct LoadFits {
  double zipf_exponent = 0;  // of load ~ rank^-exponent, by least squares of ln(load) over ln(rank)
  double zipf_error = 0;
  double log_normal_sigma = 0;  // deviation of ln(load)
  double log_normal_error = 0;  // against the quantiles (rank - 1/2) / count of the normal law
};
LoadFits fit_load(std::span<const int64_t> load);

// Of the standard normal law, for 1e-10 < p < 1 - 1e-10.
double normal_quantile(double p);

}  // namespace moesim
