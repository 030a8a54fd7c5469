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
#include "models/precision.h"
#include "sim/config/fields.h"
#include "sim/core/units.h"

namespace moesim {

// What fraction of the data sheet kernels achieve, and what a kernel costs beside its work. The defaults are measured
// on an H100 SXM (989 Tflop/s, 3,350 GB/s) with PyTorch 2.11, isolated kernels and whole model steps fitted jointly.
struct RooflineOptions {
  Duration gemm_launch{1'600'000};       // each as one node of a CUDA graph;
  Duration grouped_launch{4'000'000};    // eager execution is the host's business, not the GPU's
  Duration attention_launch{8'800'000};  // start-up and the final reduction of split KV
  Duration small_launch{3'900'000};      // norms, copies, element-wise

  double gemm_compute = 0.786;          // 777 Tflop/s with a 128 x 256 tile
  double gemm_smaller_tile = 0.88;      // of it, for each halving of the tile
  double gemm_memory = 0.866;           // 2.9 TB/s
  double grouped_compute = 0.768;       // 11.4 ns per unit of k of a 128 x 256 tile
  double grouped_smaller_tile = 0.405;  // 5.4 ns, 64 x 128
  double grouped_memory = 0.896;        // 3.0 TB/s
  double grouped_tile_k = 179;          // start and end of a 128 x 256 tile, in units of k: 2,040 ns
  double grouped_smaller_tile_k = 25;   // of a 64 x 128 tile: 134 ns
  double attention_compute = 0.654;     // 647 Tflop/s; FlashMLA measured 0.67 on H800
  double attention_memory = 0.934;      // 3.13 TB/s; FlashMLA measured 0.90 on H800
  double gather_memory = 0.985;         // 3.3 TB/s, read and written: rows still in L2 help
  double scatter_memory = 0.6;          // index_copy: 1.0 TB/s written, 2.0 read and written
  double scatter_add_memory = 0.478;    // index_add: 1.6 TB/s fits whole prefill steps; alone, eagerly, it reaches 0.8
  double elementwise_memory = 0.642;    // 2.15 TB/s
  int32_t gate_kernels = 6;             // softmax, top-k, sort and counts; a fused gate has 1 or 2
};

template <class Visitor>
void fields(Visitor& v, RooflineOptions& s) {
  const auto launch = between(Duration{}, Duration{1'000'000'000});
  const Range<double> fraction{0, 1, true};
  v.optional("gemm_launch", s.gemm_launch, launch, "fixed time of a dense GEMM");
  v.optional("grouped_launch", s.grouped_launch, launch, "fixed time of a grouped GEMM");
  v.optional("attention_launch", s.attention_launch, launch, "fixed time of attention");
  v.optional("small_launch", s.small_launch, launch, "fixed time of norms, copies and element-wise kernels");
  v.optional("gemm_compute", s.gemm_compute, fraction, "of peak, a dense GEMM with tiles of 128 x 256");
  v.optional("gemm_smaller_tile", s.gemm_smaller_tile, fraction, "of that, for each halving of the tile");
  v.optional("gemm_memory", s.gemm_memory, fraction, "of peak bandwidth, a dense GEMM");
  v.optional("grouped_compute", s.grouped_compute, fraction, "of peak, a grouped GEMM with tiles of 128 x 256");
  v.optional("grouped_smaller_tile", s.grouped_smaller_tile, fraction,
             "of peak, a grouped GEMM with tiles of 64 x 128");
  v.optional("grouped_memory", s.grouped_memory, fraction, "of peak bandwidth, a grouped GEMM");
  v.optional("grouped_tile_k", s.grouped_tile_k, between(0.0, 1e6),
             "start and end of a 128 x 256 tile, as so much more k");
  v.optional("grouped_smaller_tile_k", s.grouped_smaller_tile_k, between(0.0, 1e6),
             "start and end of a 64 x 128 tile, as so much more k");
  v.optional("attention_compute", s.attention_compute, fraction, "of peak, attention");
  v.optional("attention_memory", s.attention_memory, fraction, "of peak bandwidth, attention");
  v.optional("gather_memory", s.gather_memory, fraction, "of peak bandwidth, rows gathered");
  v.optional("scatter_memory", s.scatter_memory, fraction, "of peak bandwidth, rows scattered");
  v.optional("scatter_add_memory", s.scatter_add_memory, fraction, "of peak bandwidth, rows added where they belong");
  v.optional("elementwise_memory", s.elementwise_memory, fraction, "of peak bandwidth, norms and element-wise kernels");
  v.optional("gate_kernels", s.gate_kernels, between<int32_t>(1, 64), "small kernels of the gate behind its GEMM");
}

struct CostModel {
  GpuSpec gpu;
  RooflineOptions options;
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
};

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

// Rows of `width` bf16 values brought into another order: gathered (permute), scattered, or scattered and added
// (unpermute: the weighted sum of the experts' results).
enum class RowOrder { gather, scatter, scatter_add };
struct MoveRows {
  int64_t rows = 0;
  int64_t width = 0;
  RowOrder order = RowOrder::gather;
};

// Reads and writes so many bf16 values.
struct ElementWise {
  int64_t values_read = 0;
  int64_t values_written = 0;
};

// silu(gate) * up of [rows, 2 * intermediate], in PyTorch's two passes: 3 values read and 2 written for each result.
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
