#include "models/cpu_cost.h"

#include <algorithm>

#include "models/roofline.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

CpuThreadsParameters between_both(const CpuThreadsParameters& fewer, const CpuThreadsParameters& more,
                                  int32_t threads) {
  const double part = double(threads - fewer.threads) / double(more.threads - fewer.threads);
  const auto at = [&](double low, double high) { return low + (high - low) * part; };
  return {threads, Rate{at(fewer.memory.bytes_per_s, more.memory.bytes_per_s)},
          Rate{at(fewer.cache.bytes_per_s, more.cache.bytes_per_s)},
          FlopRate{at(fewer.compute.flop_per_s, more.compute.flop_per_s)}};
}

}  // namespace

CpuThreadsParameters cpu_threads(const CpuParameters& cpu, int32_t threads) {
  CHECK(!cpu.threads.empty());
  const CpuThreadsParameters& first = cpu.threads.front();
  if (threads < first.threads) return between_both({0, Rate{0}, Rate{0}, FlopRate{0}}, first, threads);
  for (size_t i = 1; i < cpu.threads.size(); ++i)
    if (threads < cpu.threads[i].threads) return between_both(cpu.threads[i - 1], cpu.threads[i], threads);
  return cpu.threads.back();
}

Duration cpu_experts_time(const CpuParameters& cpu, const CpuExperts& work) {
  CHECK(work.threads > 0);
  const CpuThreadsParameters rates = cpu_threads(cpu, work.threads);
  const double weights = double(bytes_of(3 * work.d * work.f, work.weights).count);
  // What the cache cannot hold comes from DRAM each time.
  const double missing = std::max(0.0, 1 - double(cpu.cache.count) / (double(work.experts) * weights));
  const double reading_s = weights * (missing / rates.memory.bytes_per_s + (1 - missing) / rates.cache.bytes_per_s);
  const double flops = 6.0 * double(work.tokens) * double(work.d) * double(work.f);
  const double computing_s = flops / rates.compute.flop_per_s;
  return Duration{work.experts * (cpu.expert + duration_of_seconds(fourth_norm(reading_s, computing_s))).ps};
}

}  // namespace moesim
