// What is known of the kernels of moesim-bench (validation/bench/kernels, and the libraries beside them), so that a fit
// need not find it: their tiles, their blocks, what they do in one kernel.
#pragma once

#include "models/kernel_parameters.h"

namespace moesim {

// Starts of a fit. A second call changes nothing.
void prepare_bench_kernels(KernelParameters& kernels);

}  // namespace moesim
