// sim/core/math.h with libm, so that moesim-bench needs no SLEEF where it is carried to. Measurements are no results
// that must have the same bytes everywhere; random inputs may differ in a last bit.
#include <cmath>

#include "sim/core/math.h"

namespace moesim {

double exact_exp(double x) { return std::exp(x); }
double exact_log(double x) { return std::log(x); }
double exact_pow(double x, double y) { return std::pow(x, y); }

}  // namespace moesim
