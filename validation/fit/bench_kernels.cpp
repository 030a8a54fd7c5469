#include "validation/fit/bench_kernels.h"

namespace moesim {
namespace {

// Half of an H100's L2, and what of it calls one after another find in it.
constexpr Bytes kCachedByPasses{32'000'000};
constexpr Bytes kCachedByGemm{27'000'000};

// Two persistent blocks an SM; tiles of 64 rows up to a mean of 64 rows a group, else of 128.
GroupedGemmParameters own_grouped_gemm() {
  GroupedGemmParameters o;
  o.launch = 2_us;
  o.memory = 0.65;
  o.choice = TileChoice::mean_rows;
  o.mean_rows_max = 64;
  o.rows_per_cluster = 1;
  o.blocks_per_sm = 2;
  o.tiles = {{64, 128, 0.31, 8, 0.99, 0.83}, {128, 128, 0.43, 258, 0.92, 0.65}};
  return o;
}

// Not documented; a tile of 64 by 128 fits best, by its steps in the rows of a group.
GroupedGemmParameters library_grouped_gemm() {
  GroupedGemmParameters o;
  o.launch = 10_us;
  o.memory = 0.87;
  o.rows_per_cluster = 1;
  o.blocks_per_sm = 2;
  o.tiles = {{64, 128, 0.34, 200, 1, 0.71}};
  return o;
}

void prepare_passes(KernelParameters& kernels) {
  kernels.gate.kernels = 4;    // softmax with top-k, and three that order
  kernels.swiglu.kernels = 1;  // fused
  for (PassParameters* pass :
       {&kernels.permute, &kernels.regroup, &kernels.unregroup, &kernels.unpermute, &kernels.swiglu, &kernels.norm}) {
    if (pass->kernels == 0) pass->kernels = 1;
    pass->launch = 1500_ns;
    pass->memory = 0.87;
    pass->row = 500_ns;
    pass->cached = kCachedByPasses;
    pass->cached_memory = 1.8;
  }
}

}  // namespace

void prepare_bench_kernels(KernelParameters& kernels) {
  if (kernels.grouped_gemm_library) return;
  kernels.grouped_gemm = own_grouped_gemm();
  kernels.grouped_gemm_library = library_grouped_gemm();
  kernels.attention.blocks.emplace();
  kernels.attention.compute = 0.34;
  kernels.attention.ends = 0.5;
  kernels.gemm.depth = 250_ns;
  kernels.gemm.split = 2_us;
  kernels.gemm.cached_memory = 1.7;
  kernels.gemm.cached = kCachedByGemm;
  kernels.gemm.tiles.clear();
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{128, 256}, {256, 128}, {128, 128}, {64, 128}, {64, 256}, {128, 64}, {64, 64}})
    kernels.gemm.tiles.push_back({rows, columns, 0.87, 150});
  prepare_passes(kernels);
}

}  // namespace moesim
