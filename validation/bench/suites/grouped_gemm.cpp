// The experts' GEMMs: our own kernel and the library's, even and uneven groups, empty ones, and many small ones.
#include <array>
#include <numeric>
#include <string>

#include "validation/bench/library_gemm.h"
#include "validation/bench/suites/single_gpu.h"

namespace moesim::bench {
namespace {

struct Experts {
  int groups, n, k;
};
// Up (gate and up together) and down projections of Mixtral, OLMoE, Qwen3-30B-A3B, DeepSeek-V2-Lite, an eighth of
// DeepSeek-V3, and of many small experts.
constexpr std::array<Experts, 11> experts{{{8, 28672, 4096},
                                           {8, 4096, 14336},
                                           {64, 2048, 2048},
                                           {64, 2048, 1024},
                                           {128, 1536, 2048},
                                           {128, 2048, 768},
                                           {64, 2816, 2048},
                                           {64, 2048, 1408},
                                           {32, 4096, 7168},
                                           {32, 7168, 2048},
                                           {256, 1024, 1536}}};
constexpr std::array<int64_t, 13> rows_of_all{8, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 24576, 32768};
// Phi-3.5-MoE, Qwen2-57B-A14B; row counts in between: for what a fit must not see.
constexpr std::array<Experts, 4> experts_held_out{
    {{16, 12800, 4096}, {16, 4096, 6400}, {64, 5120, 3584}, {64, 3584, 2560}}};
constexpr std::array<int64_t, 6> rows_held_out{48, 384, 1536, 6144, 12288, 28672};

struct Case {
  Experts experts;
  const char* pattern;
  std::vector<int64_t> rows;  // of each group
  bool is_held_out;
};

// By a Zipf popularity of this exponent over `popular` of the groups, each `stride` apart. What rounding leaves goes to
// the first of them. Neighbours are not of neighbouring popularity.
std::vector<int64_t> zipf_rows(int groups, int stride, int64_t rows, double exponent) {
  const int popular = groups / stride;
  std::vector<double> share;
  for (int g = 0; g < popular; ++g) share.push_back(std::pow(1.0 + (g * 7) % popular, -exponent));
  const double sum = std::accumulate(share.begin(), share.end(), 0.0);
  std::vector<int64_t> counts(size_t(groups), 0);
  int64_t left = rows;
  for (int g = 0; g < popular; ++g) {
    const auto count = int64_t(double(rows) * share[size_t(g)] / sum);
    counts[size_t(g) * size_t(stride)] = count;
    left -= count;
  }
  for (int g = 0; left > 0; g = (g + 1) % popular, --left) ++counts[size_t(g) * size_t(stride)];
  return counts;
}

std::vector<Case> cases_of() {
  std::vector<Case> cases;
  const auto append = [&](const Experts& e, int64_t rows, bool is_held_out) {
    cases.push_back({e, "even", zipf_rows(e.groups, 1, rows, 0), is_held_out});
    cases.push_back({e, "zipf 0.5", zipf_rows(e.groups, 1, rows, 0.5), is_held_out});
    cases.push_back({e, "zipf 1", zipf_rows(e.groups, 1, rows, 1), is_held_out});
    cases.push_back({e, "half empty", zipf_rows(e.groups, 2, rows, 0), is_held_out});
  };
  for (const int64_t rows : rows_of_all)
    for (const Experts& e : experts) append(e, rows, false);
  for (const int64_t rows : rows_held_out)
    for (const Experts& e : experts_held_out) append(e, rows, true);
  return cases;
}

struct Memory {
  RotatingWeights w;
  DeviceArray<bf16> a, c;
};

int64_t total(const Case& c) { return std::accumulate(c.rows.begin(), c.rows.end(), int64_t{0}); }
int64_t weights_of(const Experts& e) { return int64_t(e.groups) * e.n * e.k; }

Memory memory_for(std::vector<Case>& cases, const Gpu& gpu) {
  const auto elements = [](const Case& c) {
    return 2 * weights_of(c.experts) + total(c) * (int64_t(c.experts.n) + c.experts.k);
  };
  const int64_t limit = bytes_free() / 2;
  std::erase_if(cases, [&](const Case& c) { return elements(c) > limit; });
  int64_t w = 1;
  int64_t a = 1;
  int64_t out = 1;
  for (const Case& each : cases) {
    w = std::max(w, weights_of(each.experts));
    a = std::max(a, total(each) * each.experts.k);
    out = std::max(out, total(each) * each.experts.n);
  }
  return {RotatingWeights(normal_array(2 * w, 0.02F, 1, gpu.stream)), normal_array(a, 1, 2, gpu.stream),
          DeviceArray<bf16>(size_t(out))};
}

// So many calls that a sample is long, but no weights come twice while L2 may hold them.
int calls_of(const Case& c, const Memory& memory) {
  const Experts& e = c.experts;
  const auto used = std::count_if(c.rows.begin(), c.rows.end(), [](int64_t rows) { return rows > 0; });
  const double flops = 2.0 * double(total(c)) * e.n * e.k;
  const int calls = calls_for(expected_us(1.5 * flops, 2.0 * double(used) * e.n * e.k));
  return int(std::min<int64_t>(calls, memory.w.bytes() / (2 * weights_of(e))));
}

void measure(Bench& bench, Gpu& gpu, Memory& memory, const Case& c) {
  const Experts& e = c.experts;
  std::vector<int32_t> offsets{0};
  for (const int64_t rows : c.rows) offsets.push_back(offsets.back() + int32_t(rows));
  DeviceArray<int32_t> on_device(offsets.size());
  on_device.upload(offsets);
  const GroupedGemm shape{offsets.back(), e.groups, e.n, e.k};
  const int calls = calls_of(c, memory);
  const Repeat repeat{
      .warm_up = 2, .samples_min = 7, .samples_max = 20, .seconds_max = 0.03, .calls = calls, .cold_l2 = true};
  const auto record = [&](const char* kernel, std::vector<double> samples) {
    nlohmann::ordered_json values{
        {"kind", "grouped_gemm"}, {"rows", c.rows},       {"n", e.n},          {"k", e.k},
        {"kernel", kernel},       {"pattern", c.pattern}, {"launch", "graph"}, {"calls", calls}};
    if (c.is_held_out) values["held_out"] = true;
    values["samples_us"] = std::move(samples);
    bench.recorder.add(std::move(values));
  };
  record("moesim", time_on_gpu(gpu, Launch::graph, repeat, [&] {
           grouped_gemm(memory.a.data(), memory.w.next_bf16(weights_of(e)), on_device.data(), shape, memory.c.data(),
                        gpu.properties.multiProcessorCount, gpu.stream);
         }));
  // The library takes pointers to each group's weights in device memory: one set of them for each call.
  std::vector<LibraryGroupedGemm> library;
  for (int call = 0; call < calls; ++call)
    library.emplace_back(memory.a.data(), memory.w.next_bf16(weights_of(e)), offsets, shape, memory.c.data());
  size_t call = 0;
  record("cublas", time_on_gpu(gpu, Launch::graph, repeat, [&] { library[call++ % library.size()].run(gpu); }));
}

}  // namespace

void run_grouped_gemm(Bench& bench) {
  on_first_gpu(bench, [&](Gpu& gpu) {
    std::vector<Case> cases = cases_of();
    shuffle_cases(cases, bench, "grouped_gemm");
    Memory memory = memory_for(cases, gpu);
    for (const Case& c : cases) {
      if (!has_time(bench)) return;
      measure(bench, gpu, memory, c);
    }
  });
}

}  // namespace moesim::bench
