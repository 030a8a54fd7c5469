// How long experts take on the host's CPU.
#pragma once

#include <cstdint>

#include "models/device_profile.h"
#include "models/precision.h"

namespace moesim {

// Some experts, one after another, each [tokens, d] through its three matrices of d x f.
struct CpuExperts {
  int64_t experts = 0;
  int64_t d = 0;
  int64_t f = 0;
  int64_t tokens = 0;  // of each
  int32_t threads = 1;
  Precision weights = Precision::bf16;
};

// Rates of so many threads: interpolated between the numbers that the parameters have, in proportion to the threads
// below the least of them, and no better beyond the most. CHECKs that there is one.
CpuThreadsParameters cpu_threads(const CpuParameters& cpu, int32_t threads);

// Each expert: its fixed time, and the longer of reading its weights and computing. Weights that together fit the
// cache come from there. Without the wake-up, and without copies beside.
Duration cpu_experts_time(const CpuParameters& cpu, const CpuExperts& work);

}  // namespace moesim
