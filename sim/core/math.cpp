#include "sim/core/math.h"

#include <emmintrin.h>
#include <sleef.h>

namespace moesim {

double exact_exp(double x) { return Sleef_cinz_expd1_u10purec(x); }
double exact_log(double x) { return Sleef_cinz_logd1_u10purec(x); }
double exact_pow(double x, double y) { return Sleef_cinz_powd1_u10purec(x, y); }

// Two at a time, with the SSE2 that every x86-64 has: SLEEF's "cinz" functions give the same bits in all versions.
void exact_exp(std::span<double> values) {
  size_t at = 0;
  for (; at + 2 <= values.size(); at += 2)
    _mm_storeu_pd(&values[at], Sleef_cinz_expd2_u10sse2(_mm_loadu_pd(&values[at])));
  if (at < values.size()) values[at] = exact_exp(values[at]);
}

}  // namespace moesim
