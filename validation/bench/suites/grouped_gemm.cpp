// The experts' GEMMs: our own kernel and the library's, even and uneven groups, empty ones, and many small ones.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>

#include "validation/bench/library_gemm.h"

namespace moesim::bench {
namespace {

struct Experts {
  int groups;
  int n;
  int k;
};

// `rows` over the groups by a Zipf popularity of this exponent; the remainder goes to the first groups.
std::vector<int64_t> zipf_rows(int groups, int64_t rows, double skew) {
  std::vector<double> share(static_cast<size_t>(groups));
  for (int g = 0; g < groups; ++g) share[size_t(g)] = std::pow(1.0 + (g * 7) % groups, -skew);
  const double sum = std::accumulate(share.begin(), share.end(), 0.0);
  std::vector<int64_t> counts;
  for (const double s : share) counts.push_back(int64_t(double(rows) * s / sum));
  int64_t left = rows - std::accumulate(counts.begin(), counts.end(), int64_t{0});
  for (size_t g = 0; left > 0; g = (g + 1) % counts.size(), --left) ++counts[g];
  return counts;
}

std::vector<int32_t> offsets_of(const std::vector<int64_t>& counts) {
  std::vector<int32_t> offsets{0};
  for (const int64_t count : counts) offsets.push_back(offsets.back() + int32_t(count));
  return offsets;
}

void measure(Bench& bench, Gpu& gpu, const Experts& experts, const std::vector<int64_t>& counts) {
  if (!has_time(bench)) return;
  const std::vector<int32_t> offsets = offsets_of(counts);
  const GroupedGemm shape{offsets.back(), experts.groups, experts.n, experts.k};
  DeviceArray<bf16> w(size_t(experts.groups) * size_t(experts.n) * size_t(experts.k));
  DeviceArray<bf16> a(size_t(shape.rows) * size_t(experts.k));
  DeviceArray<bf16> c(size_t(shape.rows) * size_t(experts.n));
  DeviceArray<int32_t> on_device(offsets.size());
  on_device.upload(offsets);
  fill_normal(w.data(), int64_t(w.size()), 0.02F, 1, gpu.stream);
  fill_normal(a.data(), int64_t(a.size()), 1.0F, 2, gpu.stream);
  const Repeat repeat{.samples_max = 25, .cold_l2 = true};
  const auto record = [&](const char* kernel, const std::vector<double>& us) {
    bench.recorder.add({{"kind", "grouped_gemm"},
                        {"rows", counts},
                        {"n", experts.n},
                        {"k", experts.k},
                        {"kernel", kernel},
                        {"launch", "graph"},
                        {"samples_us", us}});
  };
  record("moesim", time_on_gpu(gpu, Launch::graph, repeat, [&] {
           grouped_gemm(a.data(), w.data(), on_device.data(), shape, c.data(), gpu.properties.multiProcessorCount,
                        gpu.stream);
         }));
  LibraryGroupedGemm library(a.data(), w.data(), offsets, shape, c.data());
  record("cublas", time_on_gpu(gpu, Launch::graph, repeat, [&] { library.run(gpu); }));
}

}  // namespace

void run_grouped_gemm(Bench& bench) {
  constexpr std::array<Experts, 11> kExperts{{{64, 2048, 2048},
                                              {8, 28672, 4096},
                                              {128, 1536, 2048},
                                              {64, 2816, 2048},
                                              {32, 4096, 7168},
                                              {64, 2048, 1024},
                                              {8, 4096, 14336},
                                              {128, 2048, 768},
                                              {64, 2048, 1408},
                                              {32, 7168, 2048},
                                              {256, 512, 1536}}};
  on_first_gpu(bench, [&](Gpu& gpu) {
    for (const int64_t rows : {4096, 512, 16384, 64})
      for (const double skew : {0.0, 1.0})
        for (const Experts& experts : kExperts) measure(bench, gpu, experts, zipf_rows(experts.groups, rows, skew));
    for (const int64_t rows : {1536, 8192, 32768})  // sizes in between, to hold out
      for (const Experts& experts : {Experts{64, 5120, 3584}, Experts{64, 3584, 2560}, Experts{16, 12800, 4096}})
        measure(bench, gpu, experts, zipf_rows(experts.groups, rows, 0.5));
  });
}

}  // namespace moesim::bench
