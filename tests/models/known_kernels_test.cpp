// Kernels whose tiles, blocks and caches a profile tells: those of moesim-bench.
#include <gtest/gtest.h>

#include <vector>

#include "models/cost_model.h"

namespace moesim {
namespace {

// 4 SMs of 1 Tflop/s, and a memory of 1 TB/s; no launch times, and no tile takes time to begin.
CostModel tiny_model() {
  CostModel model;
  model.gpu.sms = 4;
  model.gpu.bf16 = FlopRate{4e12};
  model.gpu.memory_bandwidth = Rate{1e30};
  KernelParameters& k = model.kernels;
  k.gemm.launch = k.grouped_gemm.launch = k.attention.launch = k.attention.launch_decode = Duration{};
  k.gemm.memory = k.grouped_gemm.memory = k.attention.memory = k.attention.compute = k.attention.ends = 1;
  k.gemm.tiles = {{64, 64, 1, 0}};
  k.grouped_gemm.tiles = {{64, 64, 1, 0}};
  k.grouped_gemm.rows_per_cluster = 1;
  return model;
}

void expect_ps(Duration time, int64_t ps) { EXPECT_LE(std::abs(time.ps - ps), 3) << time.ps; }

// A tile of 64 x 64 and k = 1,000 has 8,192,000 flop: 8.192 us of an SM. Two blocks on each of 4 SMs take 8 tiles in
// 16.384 us; the ninth has an SM to itself, and takes 0.75 of that; so do four, and five take a whole wave more.
TEST(GroupedGemm, OfSeveralBlocksAnSmIsFasterWhereABlockIsAlone) {
  CostModel model = tiny_model();
  model.kernels.grouped_gemm.blocks_per_sm = 2;
  model.kernels.grouped_gemm.tiles[0].alone = 0.75;
  const auto time_of_tiles = [&](int64_t tiles) {
    return kernel_time(model, GroupedGemm{std::vector<int64_t>{64 * tiles}, 64, 1000});
  };
  expect_ps(time_of_tiles(8), 16'384'000);
  expect_ps(time_of_tiles(9), 16'384'000 + 12'288'000);
  expect_ps(time_of_tiles(12), 16'384'000 + 12'288'000);
  expect_ps(time_of_tiles(13), 2 * 16'384'000);
}

// One tile's k is split among the 4 SMs: a quarter of 8.192 us, and 1 us to add up, where that is not longer.
TEST(DenseGemm, SplitsKWhereAddingUpTakesLess) {
  CostModel model = tiny_model();
  model.kernels.gemm.split_k = 1;
  model.kernels.gemm.split = Duration{1'000'000};
  expect_ps(kernel_time(model, DenseGemm{64, 64, 1000}), 2'048'000 + 1'000'000);
  model.kernels.gemm.split = Duration{9'000'000};
  expect_ps(kernel_time(model, DenseGemm{64, 64, 1000}), 8'192'000);
}

// 100 rows of 512 values read and written are 204,800 bytes: at twice the bandwidth of 1 TB/s where L2 holds them, at
// the bandwidth where it holds half of them, half and half between.
TEST(SmallKernels, AreFasterWhereTheCacheHoldsTheirBytes) {
  CostModel model = tiny_model();
  model.gpu.memory_bandwidth = Rate{1e12};
  PassParameters& pass = model.kernels.regroup;
  pass = {1, Duration{}, 1};
  pass.cached_memory = 2;
  const auto time_with = [&](int64_t cached) {
    pass.cached = Bytes{cached};
    return kernel_time(model, MoveRows{100, 100, 512, RowPass::regroup});
  };
  expect_ps(time_with(0), 204'800);
  expect_ps(time_with(204'800), 102'400);
  expect_ps(time_with(102'400), 204'800);
  expect_ps(time_with(136'533), 153'600);
}

// Rows of 4,096 values go through a block in two parts.
TEST(SmallKernels, TakeTheirPartsOfARowOneAfterAnother) {
  CostModel model = tiny_model();
  model.kernels.regroup = {1, Duration{}, 1};
  model.kernels.regroup.row = Duration{500'000};
  expect_ps(kernel_time(model, MoveRows{1, 1, 4096, RowPass::regroup}), 1'000'000);
}

// 256 queries are two blocks a head, of 2 and 4 tiles of 64 keys; with one head each has an SM, and the longer decides:
// 4 x 2 x 128 x 64 x 128 flop at 1 Tflop/s, and its start.
TEST(Attention, OfAFewBlocksTakesTheTimeOfTheLongest) {
  CostModel model = tiny_model();
  model.kernels.attention.blocks = AttentionBlocks{.start = Duration{1'000'000}, .tail = 0};
  const std::vector<RequestLength> requests{{256, 0}};
  expect_ps(kernel_time(model, Attention{requests, 1, 1, 64, 64}), 4 * 2 * 128 * 64 * 128 + 1'000'000);
}

}  // namespace
}  // namespace moesim
