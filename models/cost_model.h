// How long a GPU takes for one kernel, from its data sheet: a roofline that knows tiles, waves, launches and what
// fraction of each peak kernels achieve.
//
// Of every kernel: time = launch + (compute^4 + memory^4)^(1/4). The exponent says how well the two overlap: it fits
// H100 (about 5 does best in a joint fit of whole steps, and differs by under 1 %), and the fourth root is two square
// roots, which are exactly rounded. So times are monotone in every size to the last bit, and the same on every CPU.
// They are never below bytes / peak bandwidth, nor flops / peak rate.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>

#include "models/devices.h"
#include "models/kernel_parameters.h"
#include "models/precision.h"
#include "sim/core/units.h"

namespace moesim {

struct CostModel {
  GpuSpec gpu;
  KernelParameters kernels;
};

enum class Bound { compute, memory, launch };

constexpr auto enum_names(Bound) {
  return std::to_array<std::pair<Bound, const char*>>(
      {{Bound::compute, "compute"}, {Bound::memory, "memory"}, {Bound::launch, "launch"}});
}

struct KernelCost {
  Duration time;
  double sm_fraction = 0;  // of the SMs, how many it keeps: what is left can run a communication kernel meanwhile
  Bytes memory;            // read and written
  double flops = 0;        // useful ones, without the padding of tiles
  Bound bound = Bound::launch;
  int32_t launches = 0;  // kernels that the host issues for it where there is no CUDA graph
};

// What one of `launches` kernels takes of their time, spread evenly; the parts add up to it to the picosecond.
constexpr Duration time_of_launch(Duration time, int64_t launches, int64_t launch) {
  return Duration{time.ps * (launch + 1) / launches - time.ps * launch / launches};
}

// [m, k] x [k, n] with weights [k, n] in `weights`. Where the GPU computes in that precision the activations come in it
// too; where it does not, weights are expanded to bf16 on the way. int4 is always so. Results are bf16.
struct DenseGemm {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  Precision weights = Precision::bf16;
};

// For each group g: [rows[g], k] x [k, n] with weights of its own. A group without rows reads none.
struct GroupedGemm {
  std::span<const int64_t> rows;
  int64_t n = 0;
  int64_t k = 0;
  Precision weights = Precision::bf16;
};

// new_tokens queries, the i-th (from 0) of which sees context + i + 1 tokens: a prefill has context 0, a decode
// new_tokens 1.
struct RequestLength {
  int64_t new_tokens = 0;
  int64_t context = 0;  // tokens in the cache before this step
};

// Causal attention over a batch. MLA in its absorbed form is kv_heads 1, qk_dim kv_lora_rank + rope, v_dim
// kv_lora_rank and values_are_keys, as the latent serves as both.
struct Attention {
  std::span<const RequestLength> requests;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t qk_dim = 0;
  int64_t v_dim = 0;
  int64_t window = 0;  // a query sees at most so many tokens; 0: all
  bool values_are_keys = false;
  Precision cache = Precision::bf16;
};

// Scores [tokens, experts] from [tokens, hidden], their softmax, the top k, and the order of the copies by expert.
struct Gate {
  int64_t tokens = 0;
  int64_t hidden = 0;
  int64_t experts = 0;  // identity experts included
  int64_t top_k = 0;
};

// Rows of `width` bf16 values brought into another order, or summed into fewer.
enum class RowPass { permute, regroup, unregroup, unpermute };
struct MoveRows {
  int64_t rows_read = 0;
  int64_t rows_written = 0;
  int64_t width = 0;
  RowPass pass = RowPass::regroup;
};

// Reads and writes so many bf16 values.
struct ElementWise {
  int64_t values_read = 0;
  int64_t values_written = 0;
};

// silu(gate) * up of [rows, 2 * intermediate]. Each result reads 3 values and writes 2 in two kernels, 2 and 1 in one.
struct SwiGlu {
  int64_t rows = 0;
  int64_t intermediate = 0;
};

// Root-mean-square norm of [rows, width], with the residual added before and kept.
struct Norm {
  int64_t rows = 0;
  int64_t width = 0;
};

KernelCost kernel_cost(const CostModel& model, const DenseGemm& gemm);
KernelCost kernel_cost(const CostModel& model, const GroupedGemm& gemm);
KernelCost kernel_cost(const CostModel& model, const Attention& attention);
KernelCost kernel_cost(const CostModel& model, const Gate& gate);
KernelCost kernel_cost(const CostModel& model, const MoveRows& move);
KernelCost kernel_cost(const CostModel& model, const ElementWise& work);
KernelCost kernel_cost(const CostModel& model, const SwiGlu& work);
KernelCost kernel_cost(const CostModel& model, const Norm& norm);

template <class Kernel>
Duration kernel_time(const CostModel& model, const Kernel& kernel) {
  return kernel_cost(model, kernel).time;
}

// One after the other on one stream: times, bytes and flops add, the widest kernel's SMs count, and the bound is
// that of the longest.
KernelCost in_sequence(std::span<const KernelCost> kernels);

}  // namespace moesim
