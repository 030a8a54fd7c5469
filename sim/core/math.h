// The few functions of libm whose last bit depends on the CPU, in versions whose bits do not: SLEEF's scalar
// "cinz" functions, plain C without fused multiply-add, 1 ULP. Results may use these and never std::exp, log or pow.
#pragma once

#include <span>

namespace moesim {

double exact_exp(double x);
double exact_log(double x);
double exact_pow(double x, double y);

// Each value's exponential in its place: the same bits in less time.
void exact_exp(std::span<double> values);

}  // namespace moesim
