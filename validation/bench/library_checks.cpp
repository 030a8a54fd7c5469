#include "validation/bench/library_checks.h"

#include <cuda_fp8.h>
#include <fmt/core.h>

#include <optional>

#include "sim/core/random.h"
#include "validation/bench/checks.h"
#include "validation/bench/gpus.h"
#include "validation/bench/library_gemm.h"
#include "validation/bench/reference/reference.h"

namespace moesim::bench {
namespace {

constexpr double bound_fp8 = 6e-2;

// Random numbers that fp8 can hold, as that and as floats.
struct Fp8Input {
  std::vector<float> host;
  DeviceArray<__nv_fp8_e4m3> device;
};

Fp8Input fp8_input(Rng& rng, int64_t count) {
  Fp8Input input{{}, DeviceArray<__nv_fp8_e4m3>(size_t(count))};
  std::vector<__nv_fp8_e4m3> rounded;
  for (int64_t i = 0; i < count; ++i) {
    rounded.emplace_back(float(rng.normal()));
    input.host.push_back(float(rounded.back()));
  }
  input.device.upload(rounded);
  return input;
}

// Nothing where the library does not do it.
std::optional<CheckResult> check_fp8(Gpu& gpu, Rng& rng, const DenseShape& s) {
  const Fp8Input a = fp8_input(rng, int64_t(s.m) * s.k);
  const Fp8Input w = fp8_input(rng, int64_t(s.n) * s.k);
  DeviceArray<bf16> c(size_t(s.m) * size_t(s.n));
  auto gemm = DenseGemm::plan(gpu, s, Precision::float8, a.device.data(), w.device.data(), c.data());
  if (!gemm) return {};
  fill_poison(c.data(), c.size() * sizeof(bf16), gpu.stream);
  gemm->run(gpu, a.device.data(), w.device.data(), c.data());
  std::vector<float> out;
  for (const bf16 value : c.download()) out.push_back(__bfloat162float(value));
  const std::vector<int32_t> offsets{0, s.m};
  const std::vector<double> expected = reference::grouped_gemm(a.host, w.host, offsets, {s.m, 1, s.n, s.k});
  return CheckResult{"library gemm", fmt::format("m {} n {} k {} fp8", s.m, s.n, s.k),
                     reference::relative_error(out, expected), bound_fp8};
}

std::vector<CheckResult> check_fp8_gemms(Gpu& gpu, uint64_t seed, Checks checks) {
  std::vector<CheckResult> results;
  Rng rng = Rng::stream(seed, "fp8 checks");
  std::vector<DenseShape> shapes{{16, 32, 64}, {1, 64, 256}};
  if (checks == Checks::full) shapes.insert(shapes.end(), {{257, 512, 1024}, {64, 144, 2048}, {1000, 96, 160}});
  for (const DenseShape& shape : shapes)
    if (auto result = check_fp8(gpu, rng, shape)) results.push_back(std::move(*result));
  return results;
}

LibraryGemms library_gemms(const Gpu& gpu) {
  LibraryGemms library;
  library.dense = [&gpu](const bf16* a, const bf16* w, int m, int n, int k, bf16* c) {
    auto gemm = DenseGemm::plan(gpu, {m, n, k}, Precision::bfloat16, a, w, c);
    if (!gemm) throw CudaError("cuBLASLt has no bf16 GEMM for this GPU");
    fill_poison(c, size_t(m) * size_t(n) * sizeof(bf16), gpu.stream);
    gemm->run(gpu, a, w, c);
    check_cuda(cudaStreamSynchronize(gpu.stream));  // before the workspace goes
  };
  library.grouped = [&gpu](const bf16* a, const bf16* w, std::span<const int32_t> offsets, const GroupedGemm& shape,
                           bf16* c) {
    LibraryGroupedGemm(a, w, offsets, shape, c).run(gpu);
    check_cuda(cudaStreamSynchronize(gpu.stream));
  };
  return library;
}

void record(Bench& bench, const std::vector<CheckResult>& results) {
  for (const CheckResult& result : results) {
    bench.recorder.add({{"kind", "check"},
                        {"kernel", result.kernel},
                        {"shape", result.shape},
                        {"error", result.error},
                        {"bound", result.bound}});
    if (!result.passed())
      fmt::print(stderr, "moesim-bench: {} ({}) is off by {:.3g}; at most {:.3g} is right\n", result.kernel,
                 result.shape, result.error, result.bound);
  }
}

}  // namespace

void check_all(Bench& bench, Gpu& gpu) {
  const CheckSize size = bench.options.checks == Checks::small ? CheckSize::small : CheckSize::full;
  const CheckDevice device{gpu.stream, gpu.properties.multiProcessorCount};
  record(bench, check_kernels(device, bench.options.seed, size, library_gemms(gpu)));
  record(bench, check_fp8_gemms(gpu, bench.options.seed, bench.options.checks));
  fmt::print(stderr, "{:<12} {:5.1f} s\n", "checks", bench.recorder.seconds());
}

}  // namespace moesim::bench
