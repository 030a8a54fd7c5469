// The common part of the roofline's kernels. For the sources of the cost model alone.
#pragma once

#include "models/cost_model.h"

namespace moesim {

// What a kernel asks of the GPU, in seconds and bytes.
struct KernelWork {
  Duration launch;
  double compute_s = 0;
  double memory_bytes = 0;
  double memory_fraction = 1;  // of the peak bandwidth; above 1 through a processor in the memory
  double flops = 0;
  double sm_fraction = 1;
  int32_t launches = 1;
};

KernelCost roofline(const GpuSpec& gpu, const KernelWork& work);

// (a^4 + b^4)^(1/4), without a power function: products, sums and square roots are exactly rounded, hence monotone.
double fourth_norm(double a, double b);

// The rate at which a GEMM with such weights multiplies, and the precision of the activations it reads.
struct MatrixRate {
  FlopRate rate;
  Precision activations = Precision::bf16;
};
MatrixRate matrix_rate(const GpuSpec& gpu, Precision weights);

// What of so many bytes goes to memory, where a cache holds `cached` of them and nothing of twice as many, as of what
// passes through it again and again; all of it where that is 0.
double missed_part(double bytes, Bytes cached);

// Rounded up. CHECKs a positive divisor.
int64_t ceil_div(int64_t dividend, int64_t divisor);

}  // namespace moesim
