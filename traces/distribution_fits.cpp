#include "traces/distribution_fits.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace moesim {
namespace {

double polynomial(std::span<const double> rising, double x) {
  double value = 0;
  for (size_t i = rising.size(); i > 0; --i) value = value * x + rising[i - 1];
  return value;
}

struct Line {
  double slope = 0;
  double error = 0;  // root mean square of what is left
};

Line least_squares(std::span<const double> x, std::span<const double> y) {
  const double count = double(x.size());
  double x_mean = 0;
  double y_mean = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    x_mean += x[i] / count;
    y_mean += y[i] / count;
  }
  double xx = 0;
  double xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - x_mean) * (x[i] - x_mean);
    xy += (x[i] - x_mean) * (y[i] - y_mean);
  }
  Line line{xx > 0 ? xy / xx : 0, 0};
  for (size_t i = 0; i < x.size(); ++i) {
    const double left = y[i] - y_mean - line.slope * (x[i] - x_mean);
    line.error += left * left / count;
  }
  line.error = std::sqrt(line.error);
  return line;
}

}  // namespace

// Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 37 (1988), without
// its part for p below e^-25.
double normal_quantile(double p) {
  CHECK(p > 1e-10 && p < 1 - 1e-10);
  const double q = p - 0.5;
  if (std::abs(q) <= 0.425) {
    constexpr double kOver[] = {3.3871328727963666080e+0, 1.3314166789178437745e+2, 1.9715909503065514427e+3,
                                1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
                                3.3430575583588128105e+4, 2.5090809287301226727e+3};
    constexpr double kUnder[] = {1.0,
                                 4.2313330701600911252e+1,
                                 6.8718700749205790830e+2,
                                 5.3941960214247511077e+3,
                                 2.1213794301586595867e+4,
                                 3.9307895800092710610e+4,
                                 2.8729085735721942674e+4,
                                 5.2264952788528545610e+3};
    const double r = 0.180625 - q * q;
    return q * polynomial(kOver, r) / polynomial(kUnder, r);
  }
  constexpr double kOver[] = {1.42343711074968357734e+0, 4.63033784615654529590e+0, 5.76949722146069140550e+0,
                              3.64784832476320460504e+0, 1.27045825245236838258e+0, 2.41780725177450611770e-1,
                              2.27238449892691845833e-2, 7.74545014278341407640e-4};
  constexpr double kUnder[] = {1.0,
                               2.05319162663775882187e+0,
                               1.67638483018380384940e+0,
                               6.89767334985100004550e-1,
                               1.48103976427480074590e-1,
                               1.51986665636164571966e-2,
                               5.47593808499534494600e-4,
                               1.05075007164441684324e-9};
  const double r = std::sqrt(-exact_log(q < 0 ? p : 1 - p)) - 1.6;
  const double x = polynomial(kOver, r) / polynomial(kUnder, r);
  return q < 0 ? -x : x;
}

LoadFits fit_load(std::span<const int64_t> load) {
  std::vector<double> log_load;
  for (const int64_t count : load)
    if (count > 0) log_load.push_back(exact_log(double(count)));
  std::sort(log_load.rbegin(), log_load.rend());
  const size_t loaded = log_load.size();
  if (loaded == 0) return {};

  std::vector<double> log_rank;
  for (size_t rank = 1; rank <= loaded; ++rank) log_rank.push_back(exact_log(double(rank)));
  const Line zipf = least_squares(log_rank, log_load);
  double mean = 0;
  for (const double value : log_load) mean += value / double(loaded);
  double variance = 0;
  for (const double value : log_load) variance += (value - mean) * (value - mean) / double(loaded);
  LoadFits fits{std::max(0.0, -zipf.slope), zipf.error, std::sqrt(variance), 0};
  for (size_t i = 0; i < loaded; ++i) {
    const double fitted = mean - fits.log_normal_sigma * normal_quantile((double(i) + 0.5) / double(loaded));
    fits.log_normal_error += (log_load[i] - fitted) * (log_load[i] - fitted) / double(loaded);
  }
  fits.log_normal_error = std::sqrt(fits.log_normal_error);
  return fits;
}

}  // namespace moesim
