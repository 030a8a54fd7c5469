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

// By which powers of the number of threads rates go, where measurements at one or two numbers cannot say it: from DRAM
// nearly in proportion, as each thread waits for its own lines; within the last-level cache by less than the square
// root. PyTorch on the host of h100-sxm/pytorch, 8 and 16 threads; docs/models.md says how sure they are.
constexpr double kMemoryThreadsPower = 0.9;
constexpr double kCacheThreadsPower = 0.4;  // computing too

// Rates of so many threads: powers of their number through the two nearest that the parameters have; beyond those, of
// an exponent from 0 to 1. From one number alone, by the powers above below it and no better beyond. CHECKs that there
// is one.
CpuThreadsParameters cpu_threads(const CpuParameters& cpu, int32_t threads);

// Each expert: its fixed time, and (reading^4 + computing^4)^(1/4). Of all weights, used again and again, the cache
// holds as much as it can. Without the wake-up, and without copies beside.
Duration cpu_experts_time(const CpuParameters& cpu, const CpuExperts& work);

// Host time of all launches of one expert on the GPU, where the CPU's part has so many threads. CHECKs that the host's
// parameters have it.
Duration issue_expert_time(const HostParameters& host, const CpuParameters& cpu, int32_t threads);

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
