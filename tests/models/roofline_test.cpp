#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/catalogue.h"
#include "models/cost_model.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

// 4 SMs of 1 Tflop/s, and a memory of 1 TB/s, of which kernels achieve all; no launch times.
CostModel ideal_model() {
  CostModel model;
  model.gpu.sms = 4;
  model.gpu.bf16 = FlopRate{4e12};
  model.gpu.memory_bandwidth = Rate{1e12};
  KernelParameters& k = model.kernels;
  k.gemm.launch = k.grouped_gemm.launch = k.attention.launch = k.attention.launch_decode = Duration{};
  k.attention.ends = 1;
  k.gemm.memory = k.grouped_gemm.memory = k.attention.memory = k.attention.compute = 1;
  k.gemm.tiles = {{128, 256, 1, 0}, {128, 128, 1, 0}, {64, 128, 1, 0}};
  k.grouped_gemm.tiles = {{64, 128, 1, 0}, {128, 256, 1, 0}};
  k.permute = k.regroup = k.unregroup = k.unpermute = k.elementwise = k.swiglu = k.norm = {1, Duration{}, 1};
  return model;
}
CostModel compute_only() {
  CostModel model = ideal_model();
  model.gpu.memory_bandwidth = Rate{1e30};
  return model;
}
CostModel memory_only() {
  CostModel model = ideal_model();
  model.gpu.bf16 = FlopRate{1e30};
  return model;
}

void expect_ps(Duration time, int64_t ps) { EXPECT_LE(std::abs(time.ps - ps), 2) << time.ps; }

// 128 x 1,024 outputs are 4 tiles of 128 x 256, one for each SM: 2 x 128 x 256 x 2,048 flop at 1 Tflop/s.
TEST(DenseGemm, TakesOneTilesTimeWhenItsTilesFillTheGpu) {
  const KernelCost cost = kernel_cost(compute_only(), DenseGemm{128, 1024, 2048});
  expect_ps(cost.time, 134'217'728);
  EXPECT_EQ(cost.sm_fraction, 1);
  EXPECT_EQ(cost.bound, Bound::compute);
  EXPECT_EQ(cost.flops, 2.0 * 128 * 1024 * 2048);
}

// Weights in fp8, as the activations are: 16,777,216 + 4,096 bytes, and 8,192 of results in bf16; before, another
// kernel reads 4,096 activations in bf16 and writes them in fp8, 12,288 bytes.
TEST(DenseGemm, OfFp8QuantisesItsActivationsWhereItHasKernelsOfItsOwn) {
  CostModel model = memory_only();
  model.gpu.fp8 = FlopRate{2e30};
  expect_ps(kernel_time(model, DenseGemm{1, 4096, 4096, Precision::fp8}), 16'789'504);
  model.kernels.gemm_fp8 = model.kernels.gemm;
  expect_ps(kernel_time(model, DenseGemm{1, 4096, 4096, Precision::fp8}), 16'801'792);
}

// Twice the rate in fp8, of which its kernels reach half: as long as in bf16, which they do not change.
TEST(DenseGemm, OfFp8HasRatesOfItsOwn) {
  CostModel model = compute_only();
  model.gpu.fp8 = FlopRate{8e12};
  model.kernels.gemm_fp8 = model.kernels.gemm;
  for (TileParameters& tile : model.kernels.gemm_fp8->tiles) tile.compute = 0.5;
  expect_ps(kernel_time(model, DenseGemm{128, 1024, 2048, Precision::fp8}), 134'217'728);
  expect_ps(kernel_time(model, DenseGemm{128, 1024, 2048}), 134'217'728);
}

// One more column needs a fifth column of 128 x 256, or 9 tiles of 128 x 128 (3 waves of half the time), or 18 of
// 64 x 128 (5 waves of a quarter): 1.25 of the time of four.
TEST(DenseGemm, PaysAWholeWaveForOneMoreTile) {
  expect_ps(kernel_time(compute_only(), DenseGemm{128, 1025, 2048}), 134'217'728 / 4 * 5);
}

// A weight of 4,096 x 4,096 in bf16, one row in and out: 2 x (16,777,216 + 8,192) bytes at 1 TB/s.
TEST(DenseGemm, OfOneRowTakesTheTimeOfItsWeights) {
  const KernelCost cost = kernel_cost(memory_only(), DenseGemm{1, 4096, 4096});
  expect_ps(cost.time, 33'570'816);
  EXPECT_EQ(cost.memory, Bytes{33'570'816});
  EXPECT_EQ(cost.bound, Bound::memory);
}

// (x^4 + x^4)^(1/4) = 2^(1/4) x. Compute: 4 tiles, each 134.217728 us; the bandwidth makes the 4,980,736 bytes take as
// long.
TEST(DenseGemm, IsTheFourthNormOfComputeAndMemory) {
  CostModel model = ideal_model();
  model.gpu.memory_bandwidth = Rate{4'980'736 / 134.217728e-6};
  expect_ps(kernel_time(model, DenseGemm{128, 1024, 2048}), int64_t(134'217'728 * 1.189207115002721));
}

// Rows 1, 0 and 129 are 1, 0 and 2 pairs of 64-row tiles: 6 tiles in 2 waves of 2 x 64 x 128 x 1,024 flop. In tiles of
// 128 x 256 they are 4, one wave of four times that.
TEST(GroupedGemm, PaysWholeTilesForEachGroupThatHasRows) {
  const std::vector<int64_t> rows{1, 0, 129};
  const KernelCost cost = kernel_cost(compute_only(), GroupedGemm{rows, 128, 1024});
  expect_ps(cost.time, 2 * 16'777'216);
  EXPECT_EQ(cost.flops, 2.0 * 130 * 128 * 1024);
}

// Two of three groups read their weights: 2 x 128 x 1,024 values; 130 rows of 1,024 in and 128 out; 2 bytes each.
TEST(GroupedGemm, ReadsNoWeightsOfEmptyGroups) {
  const std::vector<int64_t> rows{1, 0, 129};
  expect_ps(kernel_time(memory_only(), GroupedGemm{rows, 128, 1024}), 2 * (2 * 131'072 + 130 * 1'024 + 130 * 128));
  const std::vector<int64_t> none{0, 0};
  EXPECT_EQ(kernel_time(ideal_model(), GroupedGemm{none, 128, 1024}), Duration{});
}

// 257 rows take two pairs of 128-row tiles where 256 take one: 1.5 times the tiles for the same number of rows.
TEST(GroupedGemm, ImbalanceCosts) {
  const CostModel h100{load_gpu("h100-sxm-80"), {}};
  const std::vector<int64_t> even(64, 256);
  std::vector<int64_t> uneven = even;
  for (size_t group = 0; group < uneven.size(); ++group) uneven[group] += group % 2 == 0 ? 1 : -1;
  EXPECT_GT(kernel_time(h100, GroupedGemm{uneven, 2048, 2048}), kernel_time(h100, GroupedGemm{even, 2048, 2048}));
}

// int4 weights are half a byte; an A100 has no fp8, so fp8 weights are a byte each and multiply in bf16.
TEST(Precision, WeightsAreSmallerAlsoWhereTheGpuCannotMultiplyInThem) {
  const DenseGemm bf16{1, 4096, 4096, Precision::bf16};
  for (const auto& [precision, weight_bytes] :
       {std::pair{Precision::fp8, 16'777'216}, std::pair{Precision::int4, 8'388'608}}) {
    DenseGemm gemm = bf16;
    gemm.weights = precision;
    expect_ps(kernel_time(memory_only(), gemm), weight_bytes + 2 * 8'192);
    EXPECT_EQ(kernel_time(compute_only(), gemm), kernel_time(compute_only(), bf16));
  }
  CostModel has_fp8 = compute_only();
  has_fp8.gpu.fp8 = FlopRate{8e12};
  expect_ps(kernel_time(has_fp8, DenseGemm{128, 1024, 2048, Precision::fp8}), 134'217'728 / 2);
}

// 1,000 keys and values of 2 heads of 64 are 512,000 bytes, then 8 heads of queries and results 2,048: at 1 TB/s.
TEST(Attention, DecodeReadsTheCacheOnce) {
  const std::vector<RequestLength> requests{{1, 999}};
  const KernelCost cost = kernel_cost(memory_only(), Attention{requests, 8, 2, 64, 64});
  expect_ps(cost.time, 512'000 + 2'048);
  EXPECT_EQ(cost.memory, Bytes{514'048});
  EXPECT_EQ(cost.flops, 1000.0 * 2 * 8 * 128);
}

// 16 queries see 1 + 2 + ... + 16 = 136 keys; 8 heads x 2 x 128 flop a pair.
TEST(Attention, PrefillIsCausal) {
  const std::vector<RequestLength> requests{{16, 0}};
  const KernelCost cost = kernel_cost(compute_only(), Attention{requests, 8, 8, 64, 64});
  EXPECT_EQ(cost.flops, 136.0 * 8 * 2 * 128);
  expect_ps(cost.time, 136 * 8 * 2 * 128 / 4);  // 4 Tflop/s are 4 flop a picosecond
}

// A query sees 2 tokens at most: 1 + 2 + 2 + 2 pairs without context, 4 x 2 behind a long one.
TEST(Attention, AWindowHidesWhatLiesBeforeIt) {
  const std::vector<RequestLength> fresh{{4, 0}};
  const std::vector<RequestLength> late{{4, 1000}};
  EXPECT_EQ(kernel_cost(ideal_model(), Attention{fresh, 1, 1, 64, 64, 2}).flops, 7.0 * 256);
  EXPECT_EQ(kernel_cost(ideal_model(), Attention{late, 1, 1, 64, 64, 2}).flops, 8.0 * 256);
}

// The latent of 576 bf16 values serves as key and value of all heads: 1,000 x 1,152 bytes, whatever the heads.
TEST(Attention, LatentCacheIsReadOnceForAllHeads) {
  const std::vector<RequestLength> requests{{1, 999}};
  Attention mla{.requests = requests,
                .heads = 128,
                .kv_heads = 1,
                .qk_dim = 576,
                .v_dim = 512,
                .window = 0,
                .values_are_keys = true,
                .cache = Precision::bf16};
  EXPECT_EQ(kernel_cost(ideal_model(), mla).memory, Bytes{1'000 * 1'152 + 128 * (576 + 512) * 2});
}

// 2 KV heads of 40 ns and 8 heads of 10 ns are 160 ns of one SM, of which there are 4. A prefill has none of it.
TEST(Attention, ADecodesBlocksTakeTheirTimeBesideTheBytes) {
  const std::vector<RequestLength> decode{{1, 999}};
  const std::vector<RequestLength> prefill{{16, 999}};
  CostModel model = memory_only();
  const auto time = [&](const std::vector<RequestLength>& requests) {
    return kernel_time(model, Attention{requests, 8, 2, 64, 64});
  };
  const Duration before = time(decode);
  const Duration prefill_before = time(prefill);
  model.kernels.attention.decode_kv_head = 40_ns;
  model.kernels.attention.decode_head = 10_ns;
  expect_ps(time(decode) - before, 40'000);
  EXPECT_EQ(time(prefill), prefill_before);
}

// Keys and values of 1,015 tokens are 2 x 2 x 64 x 2 bytes each; at half the bandwidth they take that time once more.
TEST(Attention, APrefillMayReachLessOfTheMemoryThanADecode) {
  const std::vector<RequestLength> prefill{{16, 999}};
  CostModel model = memory_only();
  const Duration before = kernel_time(model, Attention{prefill, 8, 2, 64, 64});
  model.kernels.attention.memory_prefill = 0.5;
  expect_ps(kernel_time(model, Attention{prefill, 8, 2, 64, 64}) - before, 1'015 * 512);
}

TEST(Attention, AMixedBatchCostsNoMoreThanItsPartsApart) {
  const CostModel h100{load_gpu("h100-sxm-80"), {}};
  const std::vector<RequestLength> prefill{{512, 0}};
  const std::vector<RequestLength> decode(64, {1, 2048});
  std::vector<RequestLength> mixed = decode;
  mixed.push_back(prefill[0]);
  const auto time = [&](const std::vector<RequestLength>& requests) {
    return kernel_time(h100, Attention{requests, 32, 8, 128, 128});
  };
  EXPECT_LT(time(mixed), time(prefill) + time(decode));
  EXPECT_GT(time(mixed), std::max(time(prefill), time(decode)));
}

// 10 rows of 512 bf16 values, read and written: 20,480 bytes. 3 values for each of 10 x 256 results: 15,360 bytes, and
// 5 in two kernels.
TEST(SmallKernels, MoveTheirBytes) {
  expect_ps(kernel_time(ideal_model(), MoveRows{10, 10, 512, RowPass::regroup}), 20'480);
  expect_ps(kernel_time(ideal_model(), SwiGlu{10, 256}), 15'360);
  CostModel apart = ideal_model();
  apart.kernels.swiglu.kernels = 2;
  expect_ps(kernel_time(apart, SwiGlu{10, 256}), 25'600);
  EXPECT_EQ(kernel_cost(ideal_model(), ElementWise{2048, 0}).sm_fraction, 0.25);  // one block on one of 4 SMs
}

TEST(SmallKernels, AnEmptyOneStillLaunches) {
  const CostModel h100{load_gpu("h100-sxm-80"), {}};
  EXPECT_EQ(kernel_time(h100, MoveRows{0, 0, 4096}), h100.kernels.regroup.launch);
  EXPECT_EQ(kernel_cost(h100, MoveRows{1, 1, 64}).bound, Bound::launch);
}

TEST(SmallKernels, CostNothingWhereTheStackDoesThemElsewhere) {
  CostModel model = ideal_model();
  model.kernels.permute.kernels = 0;
  const KernelCost cost = kernel_cost(model, MoveRows{10, 10, 512, RowPass::permute});
  EXPECT_EQ(cost.time, Duration{});
  EXPECT_EQ(cost.launches, 0);
}

// 65 rows in two groups are 32.5 a group: with up to 64 the first tile, 64 rows: 2 pairs of tiles of 64 x 128; with 32
// or less the second, of 128 x 256, twice 2 tiles of four times the work.
TEST(GroupedGemm, MayChooseItsTileByMeanRows) {
  const std::vector<int64_t> rows{64, 0, 1};
  CostModel model = compute_only();
  model.kernels.grouped_gemm.choice = TileChoice::mean_rows;
  model.kernels.grouped_gemm.mean_rows_max = 64;
  expect_ps(kernel_time(model, GroupedGemm{rows, 128, 1024}), 16'777'216);
  model.kernels.grouped_gemm.mean_rows_max = 20;
  expect_ps(kernel_time(model, GroupedGemm{rows, 128, 1024}), 4 * 16'777'216);
  model.kernels.grouped_gemm.mean_rows_max = 21;  // 65 rows over three groups are 21 whole ones
  expect_ps(kernel_time(model, GroupedGemm{rows, 128, 1024}), 16'777'216);
}

struct RandomKernels {
  DenseGemm dense;
  std::vector<int64_t> rows;
  int64_t n;
  int64_t k;
  std::vector<RequestLength> requests;
};

RandomKernels random_kernels(Rng& rng) {
  const auto precision = Precision(rng.below(5));
  RandomKernels kernels{{rng.between(1, 9000), rng.between(1, 9000), rng.between(1, 9000), precision},
                        {},
                        rng.between(1, 9000),
                        rng.between(1, 9000),
                        {}};
  for (auto group = rng.between(1, 70); group > 0; --group)
    kernels.rows.push_back(rng.below(4) == 0 ? 0 : rng.between(0, int64_t(1) << rng.below(12)));
  for (auto request = rng.between(1, 20); request > 0; --request)
    kernels.requests.push_back({rng.between(1, rng.below(2) == 0 ? 1 : 3000), rng.between(0, 5000)});
  return kernels;
}

CostModel random_model(Rng& rng) {
  const auto names = catalogue_names(CatalogueKind::gpu);
  return {load_gpu(names[rng.below(names.size())]), {}};
}

TEST(Roofline, IsMonotoneInEverySize) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const CostModel model = random_model(rng);
    const RandomKernels small = random_kernels(rng);
    const int64_t more = int64_t(1) << rng.below(13);
    const auto [m, n, k, precision] = small.dense;
    const Duration dense = kernel_time(model, small.dense);
    EXPECT_LE(dense, kernel_time(model, DenseGemm{m + more, n, k, precision}));
    EXPECT_LE(dense, kernel_time(model, DenseGemm{m, n + more, k, precision}));
    EXPECT_LE(dense, kernel_time(model, DenseGemm{m, n, k + more, precision}));

    std::vector<int64_t> rows = small.rows;
    rows[rng.below(rows.size())] += more;
    const Duration grouped = kernel_time(model, GroupedGemm{small.rows, small.n, small.k, precision});
    EXPECT_LE(grouped, kernel_time(model, GroupedGemm{rows, small.n, small.k, precision}));
    EXPECT_LE(grouped, kernel_time(model, GroupedGemm{small.rows, small.n + more, small.k, precision}));
    EXPECT_LE(grouped, kernel_time(model, GroupedGemm{small.rows, small.n, small.k + more, precision}));

    const int64_t window = rng.below(2) == 0 ? 0 : rng.between(1, 4000);
    const Duration attention = kernel_time(model, Attention{small.requests, 32, 4, 128, 128, window});
    std::vector<RequestLength> requests = small.requests;
    requests[rng.below(requests.size())].new_tokens += more;
    EXPECT_LE(attention, kernel_time(model, Attention{requests, 32, 4, 128, 128, window}));
    requests = small.requests;
    requests[rng.below(requests.size())].context += more;
    EXPECT_LE(attention, kernel_time(model, Attention{requests, 32, 4, 128, 128, window}));
  }
}

// No kernel moves bytes faster than the data sheet's bandwidth, nor computes faster than its peak.
TEST(Roofline, IsNeverBelowTheDataSheet) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const CostModel model = random_model(rng);
    const RandomKernels kernels = random_kernels(rng);
    double peak = model.gpu.bf16.flop_per_s;
    for (const auto& rate : {model.gpu.fp8, model.gpu.int8, model.gpu.fp4})
      if (rate) peak = std::max(peak, rate->flop_per_s);
    for (const KernelCost& cost :
         {kernel_cost(model, kernels.dense), kernel_cost(model, GroupedGemm{kernels.rows, kernels.n, kernels.k}),
          kernel_cost(model, Attention{kernels.requests, 32, 4, 128, 128}),
          kernel_cost(model, Gate{kernels.dense.m, kernels.dense.k, 64, 8})}) {
      EXPECT_GE(cost.time.seconds() * (1 + 1e-9), double(cost.memory.count) / model.gpu.memory_bandwidth.bytes_per_s);
      EXPECT_GE(cost.time.seconds() * (1 + 1e-9), cost.flops / peak);
      EXPECT_GE(cost.sm_fraction, 0);
      EXPECT_LE(cost.sm_fraction, 1);
    }
  }
}

TEST(Roofline, PartsInSequenceAdd) {
  const KernelCost a{Duration{5}, 0.5, Bytes{10}, 1, Bound::memory};
  const KernelCost b{Duration{7}, 0.25, Bytes{20}, 2, Bound::compute};
  const KernelCost both = in_sequence(std::vector{a, b});
  EXPECT_EQ(both.time, Duration{12});
  EXPECT_EQ(both.memory, Bytes{30});
  EXPECT_EQ(both.flops, 3);
  EXPECT_EQ(both.sm_fraction, 0.5);
  EXPECT_EQ(both.bound, Bound::compute);
}

}  // namespace
}  // namespace moesim
