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

// Rates of so many threads: powers of their number through the two nearest that the parameters have; beyond those, of
// an exponent from 0 to 1. From one number alone, in proportion below it and no better beyond. CHECKs that there is
// one.
CpuThreadsParameters cpu_threads(const CpuParameters& cpu, int32_t threads);

// Each expert: its fixed time, and (reading^4 + computing^4)^(1/4). Of all weights, used again and again, the cache
// holds as much as it can. Without the wake-up, and without copies beside.
Duration cpu_experts_time(const CpuParameters& cpu, const CpuExperts& work);

}  // namespace moesim
