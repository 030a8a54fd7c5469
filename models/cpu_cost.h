// How long experts and attention take on the host's CPU.
#pragma once

#include <cstdint>

#include "models/device_profile.h"
#include "models/devices.h"
#include "models/llm_kernels.h"
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

// What a socket reaches in attention.
struct CpuAttentionRates {
  Rate memory;
  FlopRate compute;
};

// By the data sheet: 73 % of its memory bandwidth, as 150 of 204.8 GB/s were measured on a Xeon Platinum 8380
// (MoE-Lens, arXiv 2504.09345); its bf16 rate, else 147 Gflop/s a core, which are 64 operations a cycle in fp32 at 2.3
// GHz.
CpuAttentionRates cpu_attention_rates(const CpuSpec& cpu);

// (reading^4 + computing^4)^(1/4) of the keys and values of a batch.
Duration cpu_attention_time(const CpuAttentionRates& rates, const AttentionData& work);

}  // namespace moesim
