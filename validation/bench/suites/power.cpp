// Long load, sample by sample, with the clock and the power that nvidia-smi shows meanwhile: how far and how soon the
// clock falls under the power limit.
#include <array>
#include <ctime>

#include "validation/bench/gpu_watch.h"
#include "validation/bench/library_gemm.h"
#include "validation/bench/suites/single_gpu.h"

namespace moesim::bench {
namespace {

constexpr double load_s = 5;
constexpr double rest_s = 1;

// `work` for some seconds: each row is the time since the beginning, microseconds a call, MHz and watts as last read.
nlohmann::ordered_json sustained(const Bench& bench, Gpu& gpu, GpuWatch& watch, int calls,
                                 const std::function<void()>& work) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  const double begin = watch.seconds();
  const Repeat repeat{.warm_up = 0, .samples_min = 4, .samples_max = 4, .seconds_max = 0, .calls = calls};
  while (watch.seconds() - begin < load_s && has_time(bench)) {
    const double at = watch.seconds() - begin;
    const std::vector<double> samples = time_on_gpu(gpu, Launch::eager, repeat, work);
    watch.poll();
    const GpuWatch::Reading now = watch.last();
    for (size_t i = 0; i < samples.size(); ++i)
      rows.push_back({std::round((at + double(i) * samples[i] * calls * 1e-6) * 1e3) / 1e3,
                      std::round(samples[i] * 1e3) / 1e3, now.sm_mhz, now.watts});
  }
  return rows;
}

// The GPU cools and its clock rises again, so that loads do not depend on their order.
void rest(GpuWatch& watch) {
  const double begin = watch.seconds();
  while (watch.seconds() - begin < rest_s) {
    timespec pause{.tv_sec = 0, .tv_nsec = 50'000'000};
    nanosleep(&pause, nullptr);
    watch.poll();
  }
}

void measure_gemm(Bench& bench, Gpu& gpu, GpuWatch& watch, const DenseShape& s) {
  DeviceArray<bf16> a = normal_array(int64_t(s.m) * s.k, 1, 1, gpu.stream);
  DeviceArray<bf16> w = normal_array(int64_t(s.n) * s.k, 1, 2, gpu.stream);
  DeviceArray<bf16> c(size_t(s.m) * size_t(s.n));
  auto gemm = DenseGemm::plan(gpu, s, Precision::bfloat16, a.data(), w.data(), c.data());
  if (!gemm) return;
  const double us = expected_us(2.0 * s.m * s.n * s.k, 0);
  const int calls = std::max(1, int(10e3 / us));  // a sample of about 10 ms
  nlohmann::ordered_json rows =
      sustained(bench, gpu, watch, calls, [&] { gemm->run(gpu, a.data(), w.data(), c.data()); });
  bench.recorder.add({{"kind", "power"},
                      {"what", "gemm"},
                      {"m", s.m},
                      {"n", s.n},
                      {"k", s.k},
                      {"dtype", "bf16"},
                      {"seconds", load_s},
                      {"calls", calls},
                      {"over_time", std::move(rows)}});
}

void measure_memory(Bench& bench, Gpu& gpu, GpuWatch& watch) {
  constexpr int width = 8192;
  constexpr int rows = 32768;
  DeviceArray<bf16> in = normal_array(int64_t{rows} * width, 1, 1, gpu.stream);
  DeviceArray<bf16> gain = normal_array(width, 1, 2, gpu.stream);
  DeviceArray<bf16> out(in.size());
  constexpr int calls = 20;
  nlohmann::ordered_json over_time = sustained(
      bench, gpu, watch, calls, [&] { rms_norm(in.data(), gain.data(), rows, width, 1e-5F, out.data(), gpu.stream); });
  bench.recorder.add({{"kind", "power"},
                      {"what", "rms_norm"},
                      {"rows", rows},
                      {"width", width},
                      {"seconds", load_s},
                      {"calls", calls},
                      {"over_time", std::move(over_time)}});
}

}  // namespace

void run_power(Bench& bench) {
  on_first_gpu(bench, [&](Gpu& gpu) {
    std::array<char, 32> address{};
    check_cuda(cudaDeviceGetPCIBusId(address.data(), int(address.size()), gpu.device));
    GpuWatch watch(address.data());
    rest(watch);
    measure_gemm(bench, gpu, watch, {8192, 8192, 8192});
    rest(watch);
    if (has_time(bench)) measure_memory(bench, gpu, watch);
    rest(watch);
    if (has_time(bench)) measure_gemm(bench, gpu, watch, {2048, 2048, 2048});
  });
}

}  // namespace moesim::bench
