#include "sim/core/math.h"

#include <immintrin.h>
#include <sleef.h>

#ifndef __AVX__  // SLEEF's header declares it only to files that are compiled for AVX as a whole
extern "C" __attribute__((target("avx"))) __m256d Sleef_cinz_expd4_u10avx(__m256d);
#endif

namespace moesim {
namespace {

// How many are done.
__attribute__((target("avx"))) size_t exp_by_four(std::span<double> values) {
  size_t at = 0;
  for (; at + 4 <= values.size(); at += 4)
    _mm256_storeu_pd(&values[at], Sleef_cinz_expd4_u10avx(_mm256_loadu_pd(&values[at])));
  return at;
}

}  // namespace

double exact_exp(double x) { return Sleef_cinz_expd1_u10purec(x); }
double exact_log(double x) { return Sleef_cinz_logd1_u10purec(x); }
double exact_pow(double x, double y) { return Sleef_cinz_powd1_u10purec(x, y); }

// Four at a time where the CPU can, else two, with the SSE2 that every x86-64 has: SLEEF's "cinz" functions give the
// same bits in all versions.
void exact_exp(std::span<double> values) {
  size_t at = __builtin_cpu_supports("avx") ? exp_by_four(values) : 0;
  for (; at + 2 <= values.size(); at += 2)
    _mm_storeu_pd(&values[at], Sleef_cinz_expd2_u10sse2(_mm_loadu_pd(&values[at])));
  if (at < values.size()) values[at] = exact_exp(values[at]);
}

}  // namespace moesim
