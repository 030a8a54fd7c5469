// Dense GEMMs of cuBLASLt. Weights rotate, so that none is read from L2.
#include <algorithm>
#include <array>

#include "validation/bench/library_gemm.h"

namespace moesim::bench {
namespace {

constexpr int64_t kWeightBytes = 256 << 20;  // of all copies of the weights together: five times an L2

void measure(Bench& bench, Gpu& gpu, const DenseShape& shape, Precision precision) {
  if (!has_time(bench)) return;
  if (precision == Precision::fp8 && !has_fp8(gpu)) return;
  auto gemm = DenseGemm::plan(gpu, shape, precision);
  if (!gemm) return;
  const int64_t weights = int64_t(shape.n) * shape.k;
  const int64_t copies = std::clamp<int64_t>(kWeightBytes / (2 * weights), 1, 16);
  DeviceArray<bf16> w(size_t(copies * weights));
  DeviceArray<bf16> a(size_t(shape.m) * size_t(shape.k));
  DeviceArray<bf16> c(size_t(shape.m) * size_t(shape.n));
  fill_normal(w.data(), copies * weights, 0.02F, 1, gpu.stream);
  fill_normal(a.data(), int64_t(a.size()), 1.0F, 2, gpu.stream);
  const int calls = int(std::max<int64_t>(copies, 4));
  int64_t call = 0;
  const auto us = time_on_gpu(gpu, Launch::graph, {.calls = calls},
                              [&] { gemm->run(gpu, a.data(), w.data() + (call++ % copies) * weights, c.data()); });
  bench.recorder.add({{"kind", "gemm"},
                      {"m", shape.m},
                      {"n", shape.n},
                      {"k", shape.k},
                      {"dtype", precision_name(precision)},
                      {"launch", "graph"},
                      {"calls", calls},
                      {"samples_us", us}});
}

}  // namespace

void run_gemm(Bench& bench) {
  constexpr std::array<std::pair<int, int>, 9> kLayers{{{4096, 4096},
                                                        {2048, 2048},
                                                        {6144, 4096},
                                                        {28672, 8192},
                                                        {7168, 2048},
                                                        {2112, 7168},
                                                        {24576, 1536},
                                                        {128, 2048},
                                                        {4096, 14336}}};
  constexpr std::array<std::pair<int, int>, 3> kHeldOut{{{5120, 3584}, {3072, 3072}, {1536, 4096}}};
  on_first_gpu(bench, [&](Gpu& gpu) {
    for (const int m : {64, 1024, 4096, 16, 256, 8192, 1, 512, 2048, 128, 32, 16384})
      for (const auto& [n, k] : kLayers) measure(bench, gpu, {m, n, k}, Precision::bf16);
    for (const int m : {48, 192, 768, 3072, 6144})
      for (const auto& [n, k] : kHeldOut) measure(bench, gpu, {m, n, k}, Precision::bf16);
    for (const int m : {16, 256, 1024, 4096, 8192})
      for (const auto& [n, k] : kLayers) measure(bench, gpu, {m, n, k}, Precision::fp8);
  });
}

}  // namespace moesim::bench
