// Dense GEMMs of cuBLASLt. Weights rotate and L2 starts cold, so that none is read from L2.
#include <array>

#include "validation/bench/library_gemm.h"
#include "validation/bench/suites/single_gpu.h"
#include "validation/bench/timing.h"

namespace moesim::bench {
namespace {

struct Layer {
  int n, k;
};
constexpr std::array<int, 21> rows{1,   4,   8,    16,   32,   64,   96,   128,  192,  256,  384,
                                   512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 16384};
// QKV, output and MLP projections of Llama, Mixtral, OLMoE, Qwen and DeepSeek; gates; one small square.
constexpr std::array<Layer, 13> layers{{{4096, 4096},
                                        {6144, 4096},
                                        {2048, 2048},
                                        {28672, 8192},
                                        {7168, 2048},
                                        {2112, 7168},
                                        {24576, 1536},
                                        {512, 512},
                                        {4096, 14336},
                                        {1024, 4096},
                                        {128, 2048},
                                        {256, 7168},
                                        {8192, 8192}}};
// In between, for what a fit must not see.
constexpr std::array<int, 12> rows_held_out{2, 24, 48, 80, 160, 320, 640, 1280, 2560, 5120, 7168, 12288};
constexpr std::array<Layer, 5> layers_held_out{{{5120, 3584}, {3072, 3072}, {1536, 4096}, {10240, 5120}, {768, 2880}}};

struct Case {
  DenseShape shape;
  Precision precision;
  bool is_held_out;
};

std::vector<Case> cases_of(const Gpu& gpu) {
  std::vector<Case> cases;
  for (const Precision precision : {Precision::bfloat16, Precision::float8}) {
    if (precision == Precision::float8 && !has_fp8(gpu)) continue;
    for (const int m : rows)
      for (const Layer& layer : layers) cases.push_back({{m, layer.n, layer.k}, precision, false});
    for (const int m : rows_held_out)
      for (const Layer& layer : layers_held_out) cases.push_back({{m, layer.n, layer.k}, precision, true});
  }
  return cases;
}

struct Memory {
  RotatingWeights w;
  DeviceArray<bf16> a;
  DeviceArray<bf16> c;
};

// Two fp8 numbers in the place of each bf16 number.
DeviceArray<bf16> normal_fp8_array(int64_t bytes, float scale, uint64_t seed, cudaStream_t stream) {
  DeviceArray<bf16> array(size_t(bytes + 1) / 2);
  fill_normal_fp8(reinterpret_cast<uint8_t*>(array.data()), bytes, scale, seed, stream);
  return array;
}

// The largest of each over all cases. Numbers are random: how much power a multiplication takes depends on them.
Memory memory_for(const std::vector<Case>& cases, Precision precision, const Gpu& gpu) {
  int64_t w = 0;
  int64_t a = 0;
  int64_t c = 0;
  for (const Case& each : cases) {
    const DenseShape& s = each.shape;
    w = std::max(w, int64_t(s.n) * s.k);
    a = std::max(a, int64_t(s.m) * s.k);
    c = std::max(c, int64_t(s.m) * s.n);
  }
  w = std::max<int64_t>(2 * w, int64_t{1} << 29);
  if (precision == Precision::float8)
    return {RotatingWeights(normal_fp8_array(w, 1, 1, gpu.stream)), normal_fp8_array(a, 1, 2, gpu.stream),
            DeviceArray<bf16>(size_t(c))};
  return {RotatingWeights(normal_array(w, 0.02F, 1, gpu.stream)), normal_array(a, 1, 2, gpu.stream),
          DeviceArray<bf16>(size_t(c))};
}

void measure(Bench& bench, Gpu& gpu, Memory& memory, const Case& c) {
  const DenseShape& s = c.shape;
  const int64_t value_bytes = c.precision == Precision::float8 ? 1 : 2;
  const int64_t w_bytes = int64_t(s.n) * s.k * value_bytes;
  auto gemm = DenseGemm::plan(gpu, s, c.precision, memory.a.data(), memory.w.next(w_bytes), memory.c.data());
  if (!gemm) {
    bench.recorder.add({{"kind", "skipped"},
                        {"suite", "gemm"},
                        {"why", "cuBLASLt has no algorithm"},
                        {"m", s.m},
                        {"n", s.n},
                        {"k", s.k},
                        {"dtype", precision_name(c.precision)}});
    return;
  }
  const double flops = 2.0 * s.m * s.n * s.k / (c.precision == Precision::float8 ? 2 : 1);
  const double bytes = double(w_bytes) + double(s.m) * s.k * double(value_bytes) + 2.0 * s.m * s.n;
  const int calls = calls_for(expected_us(flops, bytes));
  const Repeat repeat{
      .warm_up = 2, .samples_min = 7, .samples_max = 20, .seconds_max = 0.03, .calls = calls, .cold_l2 = true};
  const std::vector<double> samples = time_on_gpu(
      gpu, Launch::graph, repeat, [&] { gemm->run(gpu, memory.a.data(), memory.w.next(w_bytes), memory.c.data()); });
  nlohmann::ordered_json record{
      {"kind", "gemm"},    {"m", s.m},      {"n", s.n}, {"k", s.k}, {"dtype", precision_name(c.precision)},
      {"launch", "graph"}, {"calls", calls}};
  if (c.is_held_out) record["held_out"] = true;
  record["samples_us"] = samples;
  bench.recorder.add(std::move(record));
}

}  // namespace

void run_gemm(Bench& bench) {
  on_first_gpu(bench, [&](Gpu& gpu) {
    std::vector<Case> cases = cases_of(gpu);
    shuffle_cases(cases, bench, "gemm");
    Memory of_bf16 = memory_for(cases, Precision::bfloat16, gpu);
    Memory of_fp8 = memory_for(cases, Precision::float8, gpu);
    for (const Case& c : cases) {
      if (!has_time(bench)) return;
      measure(bench, gpu, c.precision == Precision::float8 ? of_fp8 : of_bf16, c);
    }
  });
}

}  // namespace moesim::bench
