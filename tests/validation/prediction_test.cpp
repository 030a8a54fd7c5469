// Predictions by hand, with parameters that make times of round numbers: 1 GB/s of memory and of NVLink, so that a
// byte takes a nanosecond, kernels that reach all of it, products that take no time, 1 us a launch.
#include "validation/prediction.h"

#include <gtest/gtest.h>

#include "models/cpu_cost.h"

namespace moesim {
namespace {

PredictionModel round_model() {
  PredictionModel model;
  model.gpu.name = "round";
  model.gpu.sms = 100;
  model.gpu.bf16 = FlopRate{1e21};
  model.gpu.memory_bandwidth = 1_GBps;
  DeviceProfile& profile = model.profile;
  profile.name = "round/test";
  profile.kernels.gemm.launch = profile.kernels.grouped_gemm.launch = profile.kernels.attention.launch = 1_us;
  profile.kernels.attention.launch_decode = 1_us;
  profile.kernels.attention.ends = 1;
  profile.kernels.gemm.memory = profile.kernels.grouped_gemm.memory = profile.kernels.attention.memory = 1;
  KernelParameters& kernels = profile.kernels;
  for (PassParameters* pass : {&kernels.norm, &kernels.regroup, &kernels.unregroup, &kernels.unpermute, &kernels.swiglu,
                               &kernels.gate, &kernels.permute, &kernels.elementwise})
    *pass = {1, 1_us, 1};
  kernels.permute.kernels = 0;
  profile.scale_up = 1_GBps;
  profile.collectives = SoftwareStack{3_us, {}, {}, {}, {}};
  return model;
}

double predicted_us(const PredictionModel& model, const Measurement& measurement, const std::string& phase) {
  for (const Predicted& one : predict(model, measurement))
    if (one.phase == phase) return one.us;
  ADD_FAILURE() << "no " << phase;
  return 0;
}

Measurement measurement_of(const decltype(Measurement::what)& what, Launch launch,
                           std::vector<std::string> phases = {"all"}) {
  Measurement measurement{"kind", launch, what, {}, 0};
  for (const std::string& phase : phases) measurement.times.push_back({phase, 1, {1}, 1});
  return measurement;
}

// Four tokens on each of two ranks; expert 0 lies on rank 0 and has 5 of them, expert 1 on rank 1 has 3. Rank 0 sends
// one copy of 2,000 bytes, rank 1 sends two.
MoeLayerRecord tiny_layer() {
  MoeLayerRecord layer;
  layer.model = "tiny";
  layer.d = 1000;
  layer.f = 5;
  layer.experts = 2;
  layer.top_k = 1;
  layer.tokens_per_rank = 4;
  layer.ranks = 2;
  layer.counts = {{3, 1}, {2, 2}};
  return layer;
}

// gate: scores read 4 x 1000 activations and 1000 x 2 weights and write 4 x 2 results of 2 bytes: 12.016 us; softmax
// and top-k 2 (4 * 4 * 2 + 6 * 4) = 112 values, 0.224 us; two launches.
constexpr double kGate = 12.016 + 0.224 + 2;
// experts on rank 0: 5 rows, n = 10 and k = 1000: 20,000 + 10,000 + 100 bytes; SwiGLU in one kernel 3 * 5 * 5 values; n
// = 1000 and k = 5: 10,000 + 50 + 10,000 bytes; a launch each.
constexpr double kExperts = 30.1 + 0.15 + 20.05 + 3;
// 5 rows of 2,000 bytes read and written.
constexpr double kRegroup = 20 + 1;
// Two copies of 2,000 bytes: launch, bytes, and two links of 0.5 us.
constexpr double kTravel = 3 + 4 + 1;
// 4 rows read, 4 tokens written.
constexpr double kUnpermute = 16 + 1;

TEST(LayerPrediction, AddsItsPhasesInAGraph) {
  const PredictionModel model = round_model();
  const Measurement layer =
      measurement_of(tiny_layer(), Launch::graph,
                     {"gate", "dispatch", "regroup", "experts", "unregroup", "combine", "unpermute", "layer"});
  EXPECT_NEAR(predicted_us(model, layer, "gate"), kGate, 1e-3);
  EXPECT_NEAR(predicted_us(model, layer, "dispatch"), kTravel, 1e-3);
  EXPECT_NEAR(predicted_us(model, layer, "regroup"), kRegroup, 1e-3);
  EXPECT_NEAR(predicted_us(model, layer, "experts"), kExperts, 1e-3);
  EXPECT_NEAR(predicted_us(model, layer, "unregroup"), kRegroup, 1e-3);
  EXPECT_NEAR(predicted_us(model, layer, "combine"), kTravel, 1e-3);
  EXPECT_NEAR(predicted_us(model, layer, "unpermute"), kUnpermute, 1e-3);
  // Rank 0 has more rows, gets more and gives more back, so that all goes by its times.
  EXPECT_NEAR(predicted_us(model, layer, "layer"), kGate + kTravel + 2 * kRegroup + kExperts + kTravel + kUnpermute,
              1e-2);
}

// With 3 us a scattering kernel instead of 1, putting back takes 2 us more and the sum, of two kernels, 5.
TEST(LayerPrediction, ScattersWhereTheStackDid) {
  PredictionModel model = round_model();
  model.profile.kernels.scatter = {1, 3_us, 1};
  model.profile.kernels.scatter_add = {2, 3_us, 1};
  MoeLayerRecord record = tiny_layer();
  record.scatters = true;
  const Measurement layer = measurement_of(record, Launch::graph, {"unregroup", "unpermute", "layer"});
  EXPECT_NEAR(predicted_us(model, layer, "unregroup"), kRegroup + 2, 1e-3);
  EXPECT_NEAR(predicted_us(model, layer, "unpermute"), kUnpermute + 5, 1e-3);
  EXPECT_NEAR(predicted_us(model, layer, "layer"),
              kGate + kTravel + 2 * kRegroup + 2 + kExperts + kTravel + kUnpermute + 5, 1e-2);
}

// Permuting reads each token once and writes each copy: 16 us and a launch. A GPU alone need not regroup after that.
TEST(LayerPrediction, PermutesInTheGate) {
  PredictionModel model = round_model();
  MoeLayerRecord record = tiny_layer();
  record.ranks = 1;
  record.counts = {{3, 1}};
  const Measurement layer = measurement_of(record, Launch::graph, {"permute", "layer"});
  const double without = predicted_us(model, layer, "layer");
  model.profile.kernels.permute.kernels = 1;
  EXPECT_NEAR(predicted_us(model, layer, "permute"), 17, 1e-3);
  EXPECT_NEAR(predicted_us(model, layer, "layer"), without + 17, 1e-3);
  model.profile.kernels.regroup_alone = false;
  EXPECT_NEAR(predicted_us(model, layer, "layer"), without + 17 - 2 * 17, 1e-3);
}

// Eagerly, with 100 us a kernel and 1 ms a collective, the GPUs wait for the host: scores, softmax, regroup, GEMM,
// SwiGLU, GEMM, unregroup and the sum are 8 kernels; two collectives. The last kernel, issued last, is what follows.
TEST(LayerPrediction, IsBoundByTheHostWhereItIsSlow) {
  PredictionModel model = round_model();
  model.profile.host = {1_s, 100_us, 1000_us};
  const Measurement layer = measurement_of(tiny_layer(), Launch::eager, {"layer", "experts"});
  EXPECT_NEAR(predicted_us(model, layer, "layer"), 8 * 100 + 2 * 1000 + kUnpermute, 1e-2);
  // Three kernels; the last writes 5 rows.
  EXPECT_NEAR(predicted_us(model, layer, "experts"), 3 * 100 + 20.05 + 1, 1e-2);
}

TEST(LayerPrediction, KnowsNothingOfDispatchOnOneGpu) {
  MoeLayerRecord layer = tiny_layer();
  layer.ranks = 1;
  layer.counts = {{3, 1}};
  EXPECT_TRUE(predict(round_model(), measurement_of(layer, Launch::eager, {"dispatch", "combine"})).empty());
}

// Chunks add launches, and hide the travel of one behind the experts of the other: less than twice, more than once.
TEST(LayerPrediction, OverlapsChunks) {
  MoeLayerRecord layer = tiny_layer();
  const PredictionModel model = round_model();
  const double whole = predicted_us(model, measurement_of(layer, Launch::graph, {"layer"}), "layer");
  layer.chunks = 2;
  const double chunked = predicted_us(model, measurement_of(layer, Launch::graph, {"layer"}), "layer");
  EXPECT_NE(chunked, whole);
  EXPECT_LT(chunked, whole + 2 * kTravel + 5 + kExperts);  // experts read their weights in both chunks
}

// One rank, one layer, 2 sequences of 10 keys. Norm 4 * 2 * 8 values: 0.128 us. QKV [2, 8] x [8, 24]: 384 + 32 + 96
// bytes. Attention: 2 * 10 keys of 16 values, 0.64 us, and 2 queries and results of 8 + 8 values, 0.064. Output [2, 8]
// x [8, 8]: 128 + 32 + 32. Norm. Scores [2, 8] x [8, 1]: 16 + 32 + 4; softmax 2 (4 * 2 + 6 * 2) values, 0.08 us.
// Regroup 2 rows of 8 read and written: 0.064. Experts [2, 8] x [8, 4], SwiGLU 5 * 2 * 2 values, [2, 2] x [2, 8]: 64 +
// 32 + 16, 40, 32 + 8 + 32. Unregroup as regroup, the sum 0.064. Each is one launch: 13 of them.
TEST(StepPrediction, AddsTheKernelsOfALayer) {
  ModelStepRecord step;
  step.model = "tiny";
  step.layers = 1;
  step.d = 8;
  step.heads = step.kv_heads = 1;
  step.head_dim = 8;
  step.f = 2;
  step.experts = step.top_k = 1;
  step.tokens_per_rank = 2;
  step.kv = 10;
  step.counts = {{{2}}};
  const double bytes = 128 + 512 + 640 + 64 + 192 + 128 + 52 + 80 + 64 + 112 + 40 + 72 + 64 + 64;
  const Measurement measured = measurement_of(step, Launch::graph, {"graph", "eager"});
  PredictionModel model = round_model();
  EXPECT_NEAR(predicted_us(model, measured, "graph"), 13 + bytes / 1000, 0.02);
  // Eager: 13 launches of 1 ms each, and the last kernel.
  model.profile.host.issue = 1000_us;
  EXPECT_NEAR(predicted_us(model, measured, "eager"), 13 * 1000 + 1.064, 0.02);
}

// d x f of 1,000 x 1,000: an expert is 6 MB, 6 ms by PCIe at 1 GB/s. The GPU has 1 TB/s: [1, 1000] x [1000, 2000] is
// 4 MB in 4 us, the way down 2 MB in 2 us.
PredictionModel offload_model() {
  PredictionModel model = round_model();
  model.gpu.memory_bandwidth = Rate{1e12};
  model.profile.host = {10_us, 1_s, 1_s};
  model.profile.copies.host_to_device = CopyParameters{100_us, 1_GBps, 20_us};
  model.profile.cpu.threads = {{4, 1_GBps, 10_GBps, FlopRate{1e18}}, {8, 2_GBps, 30_GBps, FlopRate{1e18}}};
  model.profile.cpu.expert = 50_us;
  model.profile.cpu.wake_up = 200_us;
  model.profile.cpu.beside_copies = 1.5;
  model.profile.interference.copies_beside_cpu = 1.25;
  return model;
}

TEST(OffloadPrediction, LetsCopiesAndTheCpuRunBesideEachOther) {
  const PredictionModel model = offload_model();
  const OffloadRecord offload{"tiny", 1000, 1000, 1, 1, 2, 1, 8};
  const Measurement measured = measurement_of(offload, Launch::eager, {"gpu", "cpu", "all"});
  // The first copy takes 6.12 ms, the second without the latency 6.02. Its expert has been issued long before, and
  // takes three launches of 1 us, 4.006 us up, 0.01 us SwiGLU and 2.004 down.
  EXPECT_NEAR(predicted_us(model, measured, "gpu"), 100 + 2 * 6020 + 3 + 6.02, 0.1);
  // 6 MB at 2 GB/s.
  EXPECT_NEAR(predicted_us(model, measured, "cpu"), 50 + 3000, 0.1);
  // Beside the CPU each copy takes a quarter longer; the CPU, half longer, ends before them.
  EXPECT_NEAR(predicted_us(model, measured, "all"), (100 + 2 * 6020) * 1.25 + 3 + 6.02, 0.1);
}

// Without copies the CPU is what takes long: 2 launches an expert of 3 kernels are issued first, 10 us each.
TEST(OffloadPrediction, StartsTheCpuWhenAllIsIssued) {
  const OffloadRecord offload{"tiny", 1000, 1000, 1, 2, 0, 3, 4};
  const Measurement measured = measurement_of(offload, Launch::eager, {"gpu", "cpu", "all"});
  EXPECT_NEAR(predicted_us(offload_model(), measured, "gpu"), 6 * 10 + 1 + 2.004, 0.1);
  EXPECT_NEAR(predicted_us(offload_model(), measured, "cpu"), 3 * (50 + 6000), 0.1);
  EXPECT_NEAR(predicted_us(offload_model(), measured, "all"), 6 * 10 + 200 + 3 * (50 + 6000), 0.1);
}

// 45 us an expert instead of 10 a kernel. Nothing is launched, and no thread sleeps, where the CPU has all experts.
TEST(OffloadPrediction, IssuesExpertsInATimeOfTheirOwn) {
  PredictionModel model = offload_model();
  model.profile.host.issue_expert = 45_us;
  const OffloadRecord both{"tiny", 1000, 1000, 1, 2, 0, 3, 4};
  const Measurement measured = measurement_of(both, Launch::eager, {"gpu", "all"});
  EXPECT_NEAR(predicted_us(model, measured, "gpu"), 2 * 45 + 1 + 2.004, 0.1);
  EXPECT_NEAR(predicted_us(model, measured, "all"), 2 * 45 + 200 + 3 * (50 + 6000), 0.1);
  const OffloadRecord cpu_alone{"tiny", 1000, 1000, 1, 0, 0, 3, 4};
  EXPECT_NEAR(predicted_us(model, measurement_of(cpu_alone, Launch::eager, {"all"}), "all"), 3 * (50 + 6000), 0.1);
}

// The copies are issued before the experts, 30 us each: the second copy waits for the first and not for the host. The
// CPU starts when two copies and two experts are issued.
TEST(OffloadPrediction, IssuesCopiesBeforeExperts) {
  PredictionModel model = offload_model();
  model.profile.host.issue_expert = 45_us;
  model.profile.host.issue_copy = 30_us;
  const OffloadRecord offload{"tiny", 1000, 1000, 1, 0, 2, 4, 8};
  const Measurement measured = measurement_of(offload, Launch::eager, {"gpu", "all"});
  EXPECT_NEAR(predicted_us(model, measured, "gpu"), 30 + 100 + 2 * 6020 + 3 + 6.02, 0.1);
  EXPECT_NEAR(predicted_us(model, measured, "all"), 2 * 30 + 2 * 45 + 200 + 1.5 * 4 * (50 + 3000), 0.1);
}

TEST(OffloadPrediction, SaysNothingOfWhatTheProfileLacks) {
  const Measurement measured =
      measurement_of(OffloadRecord{"tiny", 8, 8, 1, 0, 1, 1, 8}, Launch::eager, {"gpu", "cpu", "all"});
  EXPECT_TRUE(predict(round_model(), measured).empty());
}

// From 4 to 8 threads memory goes with the threads: 1 GB/s x 6 / 4. Then 16 times the threads reach 4 times the rate of
// the cache, which goes by the root.
TEST(CpuExperts, ReachRatesByPowersOfTheThreads) {
  CpuParameters cpu = offload_model().profile.cpu;
  EXPECT_NEAR(cpu_threads(cpu, 6).memory.bytes_per_s, 1.5e9, 1);
  EXPECT_NEAR(cpu_threads(cpu, 2).memory.bytes_per_s, 0.5e9, 1);
  cpu.threads = {{2, 1_GBps, 10_GBps, FlopRate{1e12}}, {32, 2_GBps, 40_GBps, FlopRate{1e12}}};
  EXPECT_NEAR(cpu_threads(cpu, 8).cache.bytes_per_s, 20e9, 1);
  EXPECT_NEAR(cpu_threads(cpu, 128).cache.bytes_per_s, 80e9, 1);
  EXPECT_EQ(cpu_threads(cpu, 32).cache.bytes_per_s, 40e9);
}

// The cache of 10 GB/s and 30 grows faster than the threads from 4 to 8; nothing says that it goes on so.
TEST(CpuExperts, ReachNoMoreThanInProportionBeyondWhatWasMeasured) {
  CpuParameters cpu = offload_model().profile.cpu;
  EXPECT_NEAR(cpu_threads(cpu, 16).cache.bytes_per_s, 60e9, 1);
  EXPECT_NEAR(cpu_threads(cpu, 2).cache.bytes_per_s, 5e9, 1);
}

// Two experts of 6 MB beside a cache of 3 MB: a quarter of each comes from it at 30 GB/s, the rest at 2 GB/s. With 12
// MB all of it does. Where products take 3 ms as well as reading, the two are 3 * 2^(1/4).
TEST(CpuExperts, ReadWhatTheCacheCannotHoldFromDram) {
  CpuParameters cpu = offload_model().profile.cpu;
  const CpuExperts two{2, 1000, 1000, 1, 8};
  cpu.cache = Bytes{3'000'000};
  EXPECT_NEAR(cpu_experts_time(cpu, two).seconds(), 2 * (50e-6 + 4.5e6 / 2e9 + 1.5e6 / 30e9), 1e-9);
  cpu.cache = Bytes{12'000'000};
  EXPECT_NEAR(cpu_experts_time(cpu, two).seconds(), 2 * (50e-6 + 6e6 / 30e9), 1e-9);
  cpu.cache = Bytes{0};
  for (CpuThreadsParameters& each : cpu.threads) each.compute = FlopRate{2e9};  // 6 Mflop
  EXPECT_NEAR(cpu_experts_time(cpu, two).seconds(), 2 * (50e-6 + 3e-3 * 1.189207115), 1e-9);
}

// An all-gather of 8,000 bytes on two ranks: each sends the 4,000 bytes that the other lacks.
TEST(CollectivePrediction, CountsHostLaunchBytesAndLinks) {
  PredictionModel model = round_model();
  model.profile.host.issue_collective = 50_us;
  const CollectiveRecord gather{"all_gather", 2, 8000, {}};
  EXPECT_NEAR(predicted_us(model, measurement_of(gather, Launch::graph), "all"), kTravel, 1e-3);
  EXPECT_NEAR(predicted_us(model, measurement_of(gather, Launch::eager), "all"), 50 + kTravel, 1e-3);
  // What stays on a rank does not travel: 1,000 bytes one way, 4,000 the other.
  const CollectiveRecord uneven{"all_to_all", 2, 9000, {8000, 1000, 4000, 5000}};
  EXPECT_NEAR(predicted_us(model, measurement_of(uneven, Launch::graph), "all"), kTravel, 1e-3);
}

TEST(KernelPrediction, AsksTheCostModel) {
  PredictionModel model = round_model();
  model.profile.host = {20_us, 30_us, {}};
  const GemmRecord gemm{5, 10, 1000};
  EXPECT_NEAR(predicted_us(model, measurement_of(gemm, Launch::graph), "all"), 31.1, 1e-3);
  EXPECT_NEAR(predicted_us(model, measurement_of(gemm, Launch::eager), "all"), 51.1, 1e-3);
  model.world = 2;
  EXPECT_NEAR(predicted_us(model, measurement_of(gemm, Launch::eager), "all"), 61.1, 1e-3);
  EXPECT_NEAR(predicted_us(model, measurement_of(PassRecord{"unpermute", 4, 1000, 0, 1}, Launch::graph), "all"),
              kUnpermute, 1e-3);
  EXPECT_TRUE(predict(model, measurement_of(PassRecord{"novel", 4, 1000}, Launch::graph)).empty());
}

TEST(CopyPrediction, IsLatencyAndBytes) {
  PredictionModel model = offload_model();
  EXPECT_NEAR(predicted_us(model, measurement_of(CopyRecord{"host_pinned", "device", 5000}, Launch::eager), "all"), 105,
              1e-3);
  EXPECT_TRUE(predict(model, measurement_of(CopyRecord{"device", "peer", 5000}, Launch::eager)).empty());
  EXPECT_TRUE(predict(model, measurement_of(CopyRecord{"host_pageable", "device", 5000}, Launch::eager)).empty());
}

// 100 us of GEMM and 50 us of copy. Twice as slow beside each other, the copy is through after 100 us, by when half the
// GEMM is done; the other half takes 50 us. An all-to-all has no SMs before the GEMM ends.
TEST(OverlapPrediction, SlowsBothWhileBothRun) {
  PredictionModel model = round_model();
  model.profile.interference.gemm_beside_copies = model.profile.interference.copies_beside_gemm = 2;
  const auto overlap = [&](const char* second) {
    return predicted_us(model, measurement_of(OverlapRecord{"gemm", second, 100, 50}, Launch::eager), "all");
  };
  EXPECT_NEAR(overlap("copy"), 150, 1e-9);
  EXPECT_NEAR(overlap("all_to_all"), 150, 1e-9);
  model.profile.interference.gemm_beside_copies = model.profile.interference.copies_beside_gemm = 1;
  EXPECT_NEAR(overlap("copy"), 100, 1e-9);
}

// Two experts with two rows each, f 10 halved by tensor parallelism; a byte takes a nanosecond, each of the five
// kernels 1 us. The gate's 112 values are 224 bytes; weights of 2 x 10 x 1,000, rows and results are 48,080; SwiGLU's 3
// x 4 x 5 values 120; weights of 2 x 1,000 x 5, rows and results 28,040; four rows read and four written 16,000.
TEST(Predict, ALayerOfAServingEngineIsItsKernelsOneAfterAnother) {
  FusedLayerRecord layer{1000, 10, 2, 1, 4, 2, Precision::bf16, "fused_moe_triton"};
  const Measurement whole = measurement_of(layer, Launch::graph);
  EXPECT_NEAR(predicted_us(round_model(), whole, "all"), 97.464, 0.002);
  layer.kernel = "cutlass_moe";
  EXPECT_TRUE(predict(round_model(), measurement_of(layer, Launch::graph)).empty());
}

}  // namespace
}  // namespace moesim
