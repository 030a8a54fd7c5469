#include "sim/core/math.h"

#include <sleef.h>

namespace moesim {

double exact_exp(double x) { return Sleef_cinz_expd1_u10purec(x); }
double exact_log(double x) { return Sleef_cinz_logd1_u10purec(x); }
double exact_pow(double x, double y) { return Sleef_cinz_powd1_u10purec(x, y); }

}  // namespace moesim
